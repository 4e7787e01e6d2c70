// `regatta bench data`: what packing costs beyond inflating the scans, and loading an archive beyond reading the file.
#pragma once

#include <cstdint>
#include <string>

#include "regatta/config/json.hpp"

namespace regatta::bench {

struct DataBenchmark {
  std::string scan;  ///< a brain scan that all are made from; empty: a made-up one
  std::int64_t count = 20;
  std::int64_t size = 256;  ///< edge of the cubes, int16
  int threads = 2;
  std::int64_t load_bytes = std::int64_t{2} << 30;  ///< of the archive that is loaded
  int repeats = 5;
};

/// Makes the scans in a folder of its own, packs them with and without resampling, loads a large archive; checks that
/// the packed voxels are right. Prints a line a measurement. @throws BugError if they are not
Json measure_data(const DataBenchmark& options);

}  // namespace regatta::bench
