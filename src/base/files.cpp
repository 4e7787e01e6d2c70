#include "regatta/base/files.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "regatta/base/error.hpp"
#include "regatta/base/process.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const char* what) {
  throw DataError(str(path.string(), ": ", what, ": ", std::strerror(errno)));
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

/// fsync, with the calls that a signal interrupted repeated.
void sync_file(int fd, const fs::path& path) {
  while (::fsync(fd) != 0) {
    if (errno != EINTR) {
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

void AtomicFile::commit() {
  sync_file(fd_, temporary_);
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

void write_file_atomically(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

bool claim_file(const fs::path& path, std::string_view text) {
  const fs::path temporary = temporary_beside(path);
  const int fd = create_exclusively(temporary);
  struct Remover {
    const fs::path& path;
    int fd;
    ~Remover() {
      ::close(fd);
      ::unlink(path.c_str());
    }
  } remover{temporary, fd};
  write_all(fd, text.data(), text.size(), temporary);
  sync_file(fd, temporary);
  const int link_result = ::link(temporary.c_str(), path.c_str());
  const int link_error = errno;
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    fail(temporary, "cannot stat");
  }
  if (info.st_nlink == 2) {
    sync_directory(path.parent_path());
    return true;
  }
  if (link_result != 0 && link_error != EEXIST) {
    errno = link_error;
    fail(path, "cannot link");
  }
  return false;
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

void make_directories(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  REGATTA_REQUIRE(!error, DataError, directory.string(), ": cannot make directory: ", error.message());
}

std::string unique_suffix() {
  static std::atomic<std::uint64_t> counter{0};
  return str(host_name(), "-", static_cast<std::int64_t>(::getpid()), "-", counter++);
}

}  // namespace regatta
