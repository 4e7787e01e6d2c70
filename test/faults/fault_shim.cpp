// A library that stands before the C library: counts file-system calls below a folder and makes the n-th fail, stall or
// kill the process; can write down all of them. One lock over everything: the programs under test have two threads.
#include "faults/fault_shim.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <mutex>
#include <string>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

using namespace regatta::faults;

constexpr std::size_t kDescriptors = 65536;

Plan plan;
long calls = 0;
long files = 0;
int trace_fd = -1;
std::array<long, kDescriptors> file_of{};                // number of a file that was opened for writing below the root
std::array<std::string, kDescriptors>* directory_of() {  // path of a directory below the root
  static std::array<std::string, kDescriptors> paths;
  return &paths;
}
std::mutex& lock() {
  static std::mutex mutex;
  return mutex;
}

template <class Function>
Function next(Function, const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

bool is_below(const char* path) {
  const std::size_t length = std::strlen(plan.root);
  return length > 0 && path != nullptr && std::strncmp(path, plan.root, length) == 0;
}

bool is_ours(int fd) {
  return fd >= 0 && static_cast<std::size_t>(fd) < kDescriptors && file_of[static_cast<std::size_t>(fd)] != 0;
}

void raw_write(int fd, const void* data, std::size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const long written = ::syscall(SYS_write, fd, at, bytes);
    if (written <= 0) {
      return;
    }
    at += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void note(unsigned call, long file, long offset, const char* first, std::size_t first_bytes, const char* second = "") {
  if (trace_fd < 0) {
    return;
  }
  const TraceHeader header{call, file, offset, static_cast<unsigned>(first_bytes),
                           static_cast<unsigned>(std::strlen(second))};
  raw_write(trace_fd, &header, sizeof header);
  raw_write(trace_fd, first, header.first);
  raw_write(trace_fd, second, header.second);
}

/// What is to happen to the call that is about to be made.
Fault verdict(Calls call) {
  if ((plan.calls & call) == 0) {
    return Fault::kNone;
  }
  ++calls;
  if (plan.fault == Fault::kNone || calls < plan.from || calls > plan.to) {
    return Fault::kNone;
  }
  if (plan.fault == Fault::kStall) {
    ::usleep(static_cast<useconds_t>(plan.stall_ms) * 1000);
  }
  if (plan.fault == Fault::kKillBefore) {
    ::kill(::getpid(), SIGKILL);
  }
  return plan.fault;
}

/// Makes the call, or fails in its place.
template <class Make>
auto governed(Calls call, Make make) -> decltype(make()) {
  const Fault fault = verdict(call);
  if (fault == Fault::kError) {
    errno = plan.error;
    return -1;
  }
  const auto result = make();
  if (fault == Fault::kKillAfter) {
    ::kill(::getpid(), SIGKILL);
  }
  return result;
}

int opened(const char* path, int flags, mode_t mode) {
  const bool creates = (flags & O_CREAT) != 0;
  if (!is_below(path)) {
    return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
  }
  const std::lock_guard held(lock());
  const auto make = [&] { return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode)); };
  const int fd = creates ? governed(kOpen, make) : make();
  if (fd >= 0 && static_cast<std::size_t>(fd) < kDescriptors) {
    const auto slot = static_cast<std::size_t>(fd);
    if ((flags & O_DIRECTORY) != 0) {
      (*directory_of())[slot] = path;
      file_of[slot] = -1;
    } else if ((flags & (O_WRONLY | O_RDWR)) != 0) {
      file_of[slot] = ++files;
      note(kOpen, file_of[slot], 0, path, std::strlen(path));
    }
  }
  return fd;
}

template <class Make>
ssize_t written(int fd, std::size_t bytes, const char* data, Make make) {
  if (!is_ours(fd)) {
    return make(bytes);
  }
  const std::lock_guard held(lock());
  const Fault fault = verdict(kWrite);
  if (fault == Fault::kError) {
    errno = plan.error;
    return -1;
  }
  const std::size_t part = fault == Fault::kShortWrite && bytes > 1 ? bytes / 2 : bytes;
  const ssize_t result = make(part);
  if (result > 0 && trace_fd >= 0) {
    const long end = ::lseek(fd, 0, SEEK_CUR);
    note(kWrite, file_of[static_cast<std::size_t>(fd)], end - result, data, static_cast<std::size_t>(result));
  }
  if (fault == Fault::kKillAfter) {
    ::kill(::getpid(), SIGKILL);
  }
  return result;
}

int synced(int fd, long number) {
  if (!is_ours(fd)) {
    return static_cast<int>(::syscall(number, fd));
  }
  if (plan.fault == Fault::kStall) {  // without the lock: other threads continue
    Fault fault = Fault::kNone;
    {
      const std::lock_guard held(lock());
      calls += (plan.calls & kSync) != 0 ? 1 : 0;
      fault = (plan.calls & kSync) != 0 && calls >= plan.from && calls <= plan.to ? plan.fault : fault;
    }
    if (fault == Fault::kStall) {
      ::usleep(static_cast<useconds_t>(plan.stall_ms) * 1000);
    }
    return static_cast<int>(::syscall(number, fd));
  }
  const std::lock_guard held(lock());
  const int result = governed(kSync, [&] { return static_cast<int>(::syscall(number, fd)); });
  if (result == 0) {
    const auto slot = static_cast<std::size_t>(fd);
    if (file_of[slot] > 0) {
      note(kSync, file_of[slot], 0, "", 0);
    } else {
      const std::string& path = (*directory_of())[slot];
      note(kSync, 0, 0, path.data(), path.size());
    }
  }
  return result;
}

template <class Make>
int one_path(Calls call, const char* path, Make make) {
  if (!is_below(path)) {
    return make();
  }
  const std::lock_guard held(lock());
  const int result = governed(call, make);
  if (result == 0) {
    note(call, 0, 0, path, std::strlen(path));
  }
  return result;
}

template <class Make>
int two_paths(Calls call, const char* from, const char* to, Make make) {
  if (!is_below(to)) {
    return make();
  }
  const std::lock_guard held(lock());
  const int result = governed(call, make);
  if (result == 0) {
    note(call, 0, 0, from, std::strlen(from), to);
  }
  return result;
}

}  // namespace

extern "C" {

void fault_shim_arm(const Plan* given) {
  const std::lock_guard held(lock());
  plan = *given;
  calls = 0;
  if (plan.trace[0] != '\0') {
    trace_fd =
        static_cast<int>(::syscall(SYS_openat, AT_FDCWD, plan.trace, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  }
}

long fault_shim_calls() {
  return calls;
}

void fault_shim_mark(long value) {
  const std::lock_guard held(lock());
  note(0, 0, value, "", 0);
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return opened(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return opened(path, flags, mode);
}

ssize_t write(int fd, const void* data, size_t bytes) {
  return written(fd, bytes, static_cast<const char*>(data),
                 [&](std::size_t part) { return static_cast<ssize_t>(::syscall(SYS_write, fd, data, part)); });
}

int fsync(int fd) {
  return synced(fd, SYS_fsync);
}

int fdatasync(int fd) {
  return synced(fd, SYS_fdatasync);
}

int close(int fd) {
  if (!is_ours(fd)) {
    return static_cast<int>(::syscall(SYS_close, fd));
  }
  const std::lock_guard held(lock());
  const bool is_file = file_of[static_cast<std::size_t>(fd)] > 0;
  file_of[static_cast<std::size_t>(fd)] = 0;
  const Fault fault = is_file ? verdict(kClose) : Fault::kNone;
  const int result = static_cast<int>(::syscall(SYS_close, fd));  // as the kernel does, whatever it reports
  if (fault == Fault::kKillAfter) {
    ::kill(::getpid(), SIGKILL);
  }
  if (fault == Fault::kError) {
    errno = plan.error;
    return -1;
  }
  return result;
}

int rename(const char* from, const char* to) noexcept {
  return two_paths(kRename, from, to, [&] { return static_cast<int>(::syscall(SYS_rename, from, to)); });
}

int link(const char* from, const char* to) noexcept {
  return two_paths(kLink, from, to, [&] { return static_cast<int>(::syscall(SYS_link, from, to)); });
}

int unlink(const char* path) noexcept {
  return one_path(kUnlink, path, [&] { return static_cast<int>(::syscall(SYS_unlink, path)); });
}

int remove(const char* path) noexcept {
  return one_path(kUnlink, path, [&] {
    const int result = static_cast<int>(::syscall(SYS_unlink, path));
    return result != 0 && errno == EISDIR ? static_cast<int>(::syscall(SYS_rmdir, path)) : result;
  });
}

int mkdir(const char* path, mode_t mode) noexcept {
  return one_path(kMkdir, path, [&] { return static_cast<int>(::syscall(SYS_mkdir, path, mode)); });
}

int flock(int fd, int operation) noexcept {
  if (plan.lock_error != 0) {
    errno = plan.lock_error;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_flock, fd, operation));
}

int clock_gettime(clockid_t clock, struct timespec* time) noexcept {
  static const auto real = next(&::clock_gettime, "clock_gettime");
  static long asked = 0;
  const int result = real(clock, time);
  if (clock == CLOCK_REALTIME && plan.clock_jump_s != 0) {
    time->tv_sec += (++asked % 3 - 1) * plan.clock_jump_s;
  }
  return result;
}
}
