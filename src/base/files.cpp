#include "regatta/base/files.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "regatta/base/error.hpp"
#include "regatta/base/process.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr int kTries = 5;
constexpr int kFirstPause_ms = 20;

[[noreturn]] void fail(const fs::path& path, const char* what) {
  const int error = errno;
  const std::string text = str(path.string(), ": ", what, ": ", std::strerror(error));
  if (error == ESTALE || error == EINTR) {
    throw PassingError(text);
  }
  throw DataError(text);
}

void write_all(int fd, const char* data, std::size_t bytes, const fs::path& path) {
  while (bytes > 0) {
    const ssize_t written = ::write(fd, data, bytes);
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      fail(path, "cannot write");
    }
    data += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

/// fsync, with the calls that a signal interrupted repeated; a kept interruption ends as PassingError.
void sync_file(int fd, const fs::path& path) {
  for (int tries = 1; ::fsync(fd) != 0; ++tries) {
    if (errno != EINTR || tries == kTries) {
      fail(path, "cannot make durable (fsync)");
    }
  }
}

fs::path temporary_beside(const fs::path& path) {
  return path.parent_path() / str(".", path.filename().string(), ".tmp.", unique_suffix());
}

int create_exclusively(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) {
    fail(path, "cannot create");
  }
  return fd;
}

}  // namespace

std::string read_file(const fs::path& path, std::uint64_t limit) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    fail(path, "cannot open");
  }
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    fail(path, "cannot stat");
  }
  REGATTA_REQUIRE(!S_ISDIR(info.st_mode), DataError, path.string(), ": is a directory, expected a file");
  std::string text;
  char buffer[1 << 16];
  while (true) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      fail(path, "cannot read");
    }
    if (got == 0) {
      return text;
    }
    REGATTA_REQUIRE(text.size() + static_cast<std::size_t>(got) <= limit, DataError, path.string(), ": longer than ",
                    limit, " bytes");
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), temporary_(temporary_beside(path_)) {
  fd_ = create_exclusively(temporary_);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
  if (!committed_) {
    ::unlink(temporary_.c_str());
  }
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  write_all(fd_, static_cast<const char*>(data), bytes, temporary_);
}

void AtomicFile::begin_sync() {
  ::sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE);
}

void AtomicFile::sync() {
  sync_file(fd_, temporary_);
}

void AtomicFile::commit() {
  sync();
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) {
    fail(temporary_, "cannot close");  // quota and full disks show up here on network file systems
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail(path_, "cannot rename into place");
  }
  committed_ = true;
  sync_directory(path_.parent_path());
}

void retry_passing_errors(const std::function<void()>& action) {
  for (int tries = 1;; ++tries) {
    try {
      action();
      return;
    } catch (const PassingError&) {
      if (tries == kTries) {
        throw;
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(kFirstPause_ms << (tries - 1)));
  }
}

void write_file_atomically(const fs::path& path, std::string_view text) {
  retry_passing_errors([&] {
    AtomicFile file(path);
    file.write(text);
    file.commit();
  });
}

bool claim_file(const fs::path& path, std::string_view text) {
  struct Temporary {
    fs::path path;
    int fd = -1;
    ~Temporary() { remove(); }
    void remove() {
      if (fd >= 0) {
        ::close(fd);
        ::unlink(path.c_str());
        fd = -1;
      }
    }
  } temporary;
  retry_passing_errors([&] {
    temporary.remove();
    temporary.path = temporary_beside(path);
    temporary.fd = create_exclusively(temporary.path);
    write_all(temporary.fd, text.data(), text.size(), temporary.path);
    sync_file(temporary.fd, temporary.path);
  });
  bool is_ours = false;
  retry_passing_errors([&] {  // of the link alone: one that was made must not be taken for another's
    const int link_result = ::link(temporary.path.c_str(), path.c_str());
    const int link_error = errno;
    struct stat info {};
    if (::fstat(temporary.fd, &info) != 0) {
      fail(temporary.path, "cannot stat");
    }
    is_ours = info.st_nlink == 2;
    if (!is_ours && link_result != 0 && link_error != EEXIST) {
      errno = link_error;
      fail(path, "cannot link");
    }
    if (is_ours) {
      sync_directory(path.parent_path());
    }
  });
  return is_ours;
}

void sync_directory(const fs::path& directory) {
  const fs::path target = directory.empty() ? fs::path(".") : directory;
  const int fd = ::open(target.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    fail(target, "cannot open directory");
  }
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  if (result != 0 && error != EINVAL && error != ENOTSUP) {  // some file systems have no fsync of directories
    errno = error;
    fail(target, "cannot make directory durable (fsync)");
  }
}

std::uint64_t free_bytes(const fs::path& directory) {
  std::error_code error;
  const fs::space_info space = fs::space(directory, error);
  return error ? std::numeric_limits<std::uint64_t>::max() : space.available;
}

void make_directories(const fs::path& directory) {
  std::error_code error;
  if (directory.empty() || fs::is_directory(directory, error)) {
    return;
  }
  const fs::path parent = directory.has_filename() ? directory.parent_path() : directory.parent_path().parent_path();
  make_directories(parent);
  retry_passing_errors([&] {
    if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST) {
      fail(directory, "cannot make directory");
    }
    REGATTA_REQUIRE(fs::is_directory(directory, error), DataError, directory.string(),
                    ": cannot make directory: a file is in its place");
    sync_directory(parent);
  });
}

std::string unique_suffix() {
  static std::atomic<std::uint64_t> counter{0};
  return str(host_name(), "-", static_cast<std::int64_t>(::getpid()), "-", counter++);
}

}  // namespace regatta
