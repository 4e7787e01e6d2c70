// What a person names when a sweep is to be planned, run or submitted: a job file, or a sweep's folder to continue it.
#pragma once

#include <filesystem>
#include <optional>

#include "regatta/config/job.hpp"
#include "regatta/sweep/layout.hpp"

namespace regatta {

struct GivenJob {
  JobOptions job;
  std::optional<SweepFiles> sweep;  ///< the folder, if that was named: the job is the one it was born with
};

/// @throws ConfigError, DataError: neither; a sweep's own job.json is answered with its folder
GivenJob read_given_job(const std::filesystem::path& path);

/// Where a sweep goes: the named folder, else `output`, else runs/NAME; absolute.
/// @throws ConfigError if a folder is named and `output` is another one
SweepFiles files_of(const GivenJob& given, const std::filesystem::path& output);

}  // namespace regatta
