// What a site's profile says about its cluster. A profile is env/NAME.sh: the jobs source it (modules), and `regatta
// submit` reads the lines "#REGATTA key=value" in it. docs/slurm.md says how to write one.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "regatta/config/options.hpp"

namespace regatta {

struct SiteProfile {
  std::filesystem::path file;  ///< absolute; empty: no profile, all values are the defaults
  int gpus_per_node = 4;
  int cpus_per_gpu = 8;
  std::string gpu_option = "--gpus-per-node";
  std::string gpu_type;
  std::string partition;
  std::string constraint;
  std::string mem;
  std::string needs;
  std::string max_time;
  std::string requeue = "yes";
  std::string mpi = "pmix";
  int signal_s = 300;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("gpus_per_node", s.gpus_per_node, "GPUs of a node, one rank each", between(1, 64));
    v("cpus_per_gpu", s.cpus_per_gpu, "processors that go with a GPU", between(1, 1024));
    v("gpu_option", s.gpu_option, "how GPUs are asked for", one_of({"--gpus-per-node", "--gres"}));
    v("gpu_type", s.gpu_type, "stands before the number of GPUs, as in a100:4");
    v("partition", s.partition, "default of --partition");
    v("constraint", s.constraint, "default of --constraint");
    v("mem", s.mem, "default of --mem");
    v("needs", s.needs, "options that every job must have: account, qos, partition, constraint, mem, with commas");
    v("max_time", s.max_time, "longest --time, as Slurm writes it");
    v("requeue", s.requeue, "whether a job may put itself back into the queue", one_of({"yes", "no"}));
    v("mpi", s.mpi, "of srun --mpi");
    v("signal_s", s.signal_s, "seconds before the time limit at which trials save", between(10, 86400));
  }
};

/// @throws ConfigError naming file and line: no such file, no "#REGATTA" line, an unknown or repeated key, a value
/// outside its rule or with other characters than `is_plain_value` allows
SiteProfile read_site_profile(const std::filesystem::path& file);

/// Where a site's profile is: a path if `site` has a '/', otherwise env/SITE.sh of the installation or checkout.
/// @param home  the folder that holds bin/ of the programs
/// @throws ConfigError listing the profiles that there are
std::filesystem::path find_site_profile(const std::string& site, const std::filesystem::path& home);

/// What may stand in a `#SBATCH` line: one or more of A-Z a-z 0-9 . _ = + : , @ -
bool is_plain_value(const std::string& value);

}  // namespace regatta
