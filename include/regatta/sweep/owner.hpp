// Who writes a journal shard and holds claims: process, host, and the submission that it belongs to.
#pragma once

#include <string>

#include "regatta/base/process.hpp"
#include "regatta/config/json.hpp"

namespace regatta {

/// Which submission a process belongs to. Without Slurm: cluster "local", job = "<host>-<pid>", restart 0.
struct JobPlace {
  std::string cluster = "local";
  std::string job;
  int restart = 0;
  bool slurm = false;
  std::string array = {};  ///< of an array's element: the array's own job number
  std::string nodes = {};  ///< of this start of the job, as Slurm lists them

  bool operator==(const JobPlace&) const = default;
};

/// From SLURM_CLUSTER_NAME, SLURM_JOB_ID, SLURM_ARRAY_JOB_ID, SLURM_RESTART_COUNT and SLURM_JOB_NODELIST.
JobPlace this_job();

/// Who writes a shard and owns claims.
struct Owner {
  ProcessIdentity process;
  JobPlace place;
  std::string shard;  ///< name of its journal file

  bool operator==(const Owner&) const = default;
};

Json to_json(const Owner& owner);

/// @throws DataError naming `source` if a member is missing
Owner owner_from_json(const Json& value, const std::string& source);

}  // namespace regatta
