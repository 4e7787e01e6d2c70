// What journals, claims and checkpoints need of a file system, tried out.
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/launch/doctor.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using Level = DoctorFinding::Level;

constexpr double kSlowSync_s = 1.0;
constexpr double kLeastFree = 20.0 * (1 << 30);
constexpr std::uint64_t kLeastInodes = 10000;

/// Names of file systems by their magic numbers (statfs(2) and their own headers).
const char* file_system_name(long magic) {
  switch (magic) {
    case 0x6969: return "NFS";
    case 0x0BD00BD0: return "Lustre";
    case 0x47504653: return "Storage Scale (GPFS)";
    case 0x19830326: return "BeeGFS";
    case 0x00C36400: return "CephFS";
    case 0xEF53: return "ext4";
    case 0x58465342: return "XFS";
    case 0x9123683E: return "Btrfs";
    case 0x01021994: return "tmpfs";
    case 0x794C7630: return "overlay";
    case 0x65735546: return "FUSE";
    default: return "another kind";
  }
}

/// A folder for the trials of this file, removed at the end.
class TrialFolder {
 public:
  explicit TrialFolder(const fs::path& parent) : path_(parent / str(".doctor-", unique_suffix())) {
    make_directories(path_);
  }
  ~TrialFolder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  TrialFolder(const TrialFolder&) = delete;
  TrialFolder& operator=(const TrialFolder&) = delete;

  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

DoctorFinding tried(const std::string& subject, const std::string& good, const std::function<void()>& trial) {
  try {
    trial();
    return {Level::kGood, subject, good};
  } catch (const Error& error) {
    return {Level::kFault, subject, str(error.what(), ": a sweep cannot live here")};
  }
}

DoctorFinding try_rename(const TrialFolder& folder) {
  return tried("rename", "replaces a file in one go", [&] {
    write_file_atomically(folder / "state", "old");
    write_file_atomically(folder / "state", "new");
    REGATTA_REQUIRE(read_file(folder / "state") == "new", DataError, "a renamed file reads as the old one");
  });
}

DoctorFinding try_link(const TrialFolder& folder) {
  return tried("link", "a claim is won by exactly one", [&] {
    REGATTA_REQUIRE(claim_file(folder / "claim", "first"), DataError, "link(2) does not count links");
    REGATTA_REQUIRE(!claim_file(folder / "claim", "second"), DataError, "a claim was won twice");
    REGATTA_REQUIRE(read_file(folder / "claim") == "first", DataError, "the second claim replaced the first");
  });
}

DoctorFinding try_sync(const TrialFolder& folder) {
  const double begin_s = system_clock().monotonic_s();
  constexpr int kTimes = 5;
  for (int i = 0; i < kTimes; ++i) {
    write_file_atomically(folder / "sync", std::string(4096, 'x'));
  }
  const double each_s = (system_clock().monotonic_s() - begin_s) / kTimes;
  const bool slow = each_s > kSlowSync_s;
  return {slow ? Level::kNote : Level::kGood, "fsync",
          str("a small durable file takes ", to_text(std::round(each_s * 1e4) / 10), " ms",
              slow ? "; trials start late and saves take long" : "")};
}

DoctorFinding try_lock(const TrialFolder& folder) {
  write_file_atomically(folder / "lock", "");
  const int fd = ::open((folder / "lock").c_str(), O_RDWR | O_CLOEXEC);
  const bool works = fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) == 0;
  const int error = errno;
  if (fd >= 0) {
    ::close(fd);
  }
  return {works ? Level::kGood : Level::kNote, "locks",
          works ? std::string("flock works; nothing here needs it")
                : str("flock fails (", std::strerror(error), "); nothing here needs it")};
}

DoctorFinding space_of(const fs::path& folder) {
  struct statvfs space {};
  if (::statvfs(folder.c_str(), &space) != 0) {
    return {Level::kNote, "disk", str("cannot tell the free space: ", std::strerror(errno))};
  }
  const double free = static_cast<double>(space.f_bavail) * static_cast<double>(space.f_frsize);
  const bool few_inodes = space.f_files > 0 && space.f_favail < kLeastInodes;
  std::string text = bytes_text(free) + " free";
  text += space.f_files > 0 ? str(", ", static_cast<std::int64_t>(space.f_favail), " inodes") : std::string();
  const bool scarce = free < kLeastFree || few_inodes;
  return {scarce ? Level::kNote : Level::kGood, "disk",
          text + (scarce ? "; `regatta plan` says what a sweep needs; quotas may be lower still" : "")};
}

DoctorFinding rights_in(const TrialFolder& folder, const fs::path& parent) {
  write_file_atomically(folder / "rights", "");
  struct stat file {};
  struct stat directory {};
  ::stat((folder / "rights").c_str(), &file);
  ::stat(parent.c_str(), &directory);
  const bool setgid = (directory.st_mode & S_ISGID) != 0;
  const bool group_writes = (file.st_mode & S_IWGRP) != 0;
  char mode[8];
  std::snprintf(mode, sizeof mode, "%03o", static_cast<unsigned>(file.st_mode & 0777));
  std::string text = str("new files get mode ", mode, setgid ? " and the folder's group" : "");
  if ((file.st_mode & S_IWOTH) != 0) {
    return {Level::kNote, "rights", text + ": everybody may change them; set umask 027 or 007"};
  }
  if (setgid && !group_writes) {
    return {Level::kNote, "rights", text + ": others of the group cannot continue a sweep; set umask 007"};
  }
  return {Level::kGood, "rights", text};
}

}  // namespace

std::vector<DoctorFinding> examine_file_system(const fs::path& folder) {
  std::vector<DoctorFinding> findings;
  try {
    make_directories(folder);
    const TrialFolder trial(folder);
    struct statfs kind {};
    ::statfs(folder.c_str(), &kind);
    const std::string name = file_system_name(static_cast<long>(kind.f_type));
    findings.push_back({name == "tmpfs" ? Level::kNote : Level::kGood, "file system",
                        str(fs::absolute(folder).lexically_normal().string(), " is on ", name,
                            name == "tmpfs" ? ": gone at the next reboot, and other nodes do not see it" : "")});
    findings.push_back(try_rename(trial));
    findings.push_back(try_link(trial));
    findings.push_back(try_sync(trial));
    findings.push_back(try_lock(trial));
    findings.push_back(rights_in(trial, folder));
    findings.push_back(space_of(folder));
  } catch (const Error& error) {
    findings.push_back({Level::kFault, "file system", str(error.what(), ": a sweep cannot live here")});
  }
  return findings;
}

}  // namespace regatta
