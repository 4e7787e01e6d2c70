// GPUs, limits and ranks; the file system is in doctor_files.cpp.
#include "regatta/launch/doctor.hpp"

#include <fstream>
#include <map>

#include <sys/resource.h>

#include "launch/cpu_share.hpp"
#include "launch/launcher_place.hpp"
#include "launch/nvml.hpp"
#include "launch/ranks.hpp"
#include "regatta/base/host_memory.hpp"
#include "regatta/base/process.hpp"
#include "regatta/base/run_program.hpp"
#include "regatta/base/text.hpp"

namespace regatta {
namespace {

using Level = DoctorFinding::Level;

constexpr int kLeastDriver = 580;  ///< of CUDA 13, which LibTorch is built for
constexpr double kLeaveTimeout_s = 60.0;

double host_memory() {
  std::ifstream info("/proc/meminfo");
  std::string name;
  double kibibytes = 0;
  info >> name >> kibibytes;
  return kibibytes * 1024.0;
}

DoctorFinding driver_finding(const std::string& driver) {
  const int major = std::atoi(driver.c_str());
  if (driver.empty()) {
    return {Level::kNote, "driver", "NVML does not tell its version"};
  }
  if (major < kLeastDriver) {
    return {Level::kFault, "driver",
            str(driver, ", but LibTorch with CUDA 13 needs ", kLeastDriver,
                " or newer: ask for an update, or build with ", "an older LibTorch (env/versions.txt)")};
  }
  return {Level::kGood, "driver", driver};
}

}  // namespace

std::vector<DoctorFinding> examine_gpus() {
  const auto report = nvml_report();
  if (!report || report->gpus.empty()) {
    return {{Level::kNote, "GPU", "none here (no NVML); a login node has none, a GPU job must"}};
  }
  std::vector<DoctorFinding> findings = {driver_finding(report->driver)};
  for (std::size_t i = 0; i < report->gpus.size(); ++i) {
    const NvmlGpu& gpu = report->gpus[i];
    const bool used = gpu.memory_bytes > 0 && gpu.used_bytes * 20 > gpu.memory_bytes;
    findings.push_back(
        {used ? Level::kNote : Level::kGood, str("GPU ", i),
         str(gpu.name, gpu.memory_bytes > 0 ? ", " + bytes_text(static_cast<double>(gpu.memory_bytes)) : "", ", ",
             gpu.uuid,
             used ? str("; ", bytes_text(static_cast<double>(gpu.used_bytes)),
                        " are in use by others: trials may run out of memory")
                  : std::string())});
  }
  return findings;
}

DoctorFinding kernel_finding(const std::string& text) {
  const bool built = !text.starts_with("left out");
  return {built ? Level::kGood : Level::kNote, "CUDA kernels",
          built ? text
                : text + "; GPUs train with LibTorch's operators, which are slower (env/setup.sh --cuda builds them)"};
}

std::vector<DoctorFinding> examine_limits() {
  std::vector<DoctorFinding> findings;
  const std::size_t processors = job_cpus(false).size();
  findings.push_back({Level::kGood, "processors", str(processors, " may be used, host ", host_name())});
  const std::int64_t limit = memory_limit();
  findings.push_back({Level::kGood, "host memory",
                      str(bytes_text(host_memory()),
                          limit > 0 ? ", this job may use " + bytes_text(static_cast<double>(limit)) : "")});
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  constexpr rlim_t kLeastFiles = 1024;
  findings.push_back({files.rlim_cur < kLeastFiles ? Level::kNote : Level::kGood, "open files",
                      str("at most ", static_cast<std::int64_t>(files.rlim_cur),
                          files.rlim_cur < kLeastFiles ? "; raise it with ulimit -n 4096" : "")});
  const bool slurm = find_program("sbatch").has_value();
  findings.push_back(
      {Level::kGood, "Slurm",
       !slurm ? "no sbatch in PATH: sweeps run here or under mpirun"
       : find_program("squeue") && find_program("scontrol")
           ? "sbatch, squeue and scontrol are there"
           : "sbatch is there, squeue or scontrol is not: lost jobs are noticed after 15 minutes, not 5"});
  findings.push_back(
      {find_program("mpirun") ? Level::kGood : Level::kNote, "mpirun",
       find_program("mpirun").value_or("not in PATH: `regatta sweep --ranks N` needs it, srun does not")});
  return findings;
}

std::vector<DoctorFinding> examine_ranks() {
  const LauncherPlace place = find_launcher();
  if (place.launcher == Launcher::kNone) {
    return {{Level::kGood, "ranks", "one process, no launcher; check a job with srun --mpi=pmix regatta doctor"}};
  }
  const auto ranks = connect_ranks();
  check_world(place, ranks->size());
  std::map<std::string, int> by_host;
  for (const std::string& host : ranks->gather(host_name())) {
    ++by_host[host];
  }
  std::vector<std::string> parts;
  for (const auto& [host, count] : by_host) {
    parts.push_back(str(count, " on ", host));
  }
  const bool first = ranks->rank() == 0;
  const std::string text = str(ranks->size(), " started by ", place.launcher == Launcher::kSrun ? "srun" : "mpirun",
                               " and connected by MPI: ", join(parts, ", "));
  ranks->leave(kLeaveTimeout_s);
  return first ? std::vector<DoctorFinding>{{Level::kGood, "ranks", text}} : std::vector<DoctorFinding>{};
}

}  // namespace regatta
