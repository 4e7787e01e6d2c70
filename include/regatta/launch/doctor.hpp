// What a sweep needs of a machine, looked at piece by piece: GPUs and driver, limits, programs, the file system of the
// sweep. Each finding is one line; nothing is changed but files of its own in a folder of its own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace regatta {

struct DoctorFinding {
  enum class Level { kGood, kNote, kFault };
  Level level = Level::kGood;
  std::string subject;  ///< "GPU 0", "fsync"
  std::string text;     ///< what was found; of a note or fault also what it means
};

/// Driver and GPUs as NVML shows them. A machine without them is noted: a login node is one.
std::vector<DoctorFinding> examine_gpus();

/// Whether this build has CUDA kernels: the text is kernels::build_text(), which the build gives, as the layer's
/// library would bring CUDA's with it. Left out is noted: trainings on GPUs are slower then.
DoctorFinding kernel_finding(const std::string& text);

/// Processors, host memory of the control group, open files, umask, programs of Slurm.
std::vector<DoctorFinding> examine_limits();

/// Rename, exclusive link, append, fsync, locks, space and inodes, and the rights of new files in this folder, which is
/// made if it is not there.
std::vector<DoctorFinding> examine_file_system(const std::filesystem::path& folder);

/// Ranks that the launcher started against ranks that MPI connects; collective over the ranks. On every rank but 0 the
/// list is empty. @throws ConfigError if they differ
std::vector<DoctorFinding> examine_ranks();

}  // namespace regatta
