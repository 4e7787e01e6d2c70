// A sweep's shared files in a real directory.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/sweep/claims.hpp"
#include "regatta/sweep/storage.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

/// Closes a descriptor at the end of its scope.
struct OpenFile {
  explicit OpenFile(const fs::path& path) : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    REGATTA_REQUIRE(fd >= 0, DataError, path.string(), ": cannot open: ", std::strerror(errno));
  }
  ~OpenFile() { ::close(fd); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int fd;
};

class DirectoryShard final : public ShardFile {
 public:
  DirectoryShard(int fd, fs::path path) : fd_(fd), path_(std::move(path)) {}
  ~DirectoryShard() override { ::close(fd_); }
  DirectoryShard(const DirectoryShard&) = delete;
  DirectoryShard& operator=(const DirectoryShard&) = delete;

  int append(std::string_view text) override {
    while (!text.empty()) {
      const ssize_t written = ::write(fd_, text.data(), text.size());
      if (written < 0 && errno == EINTR) {
        continue;
      }
      if (written < 0) {
        return errno;
      }
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    while (::fsync(fd_) != 0) {
      if (errno != EINTR) {
        return errno;
      }
    }
    return 0;
  }

  std::string path() const override { return path_.string(); }

 private:
  int fd_;
  fs::path path_;
};

}  // namespace

std::size_t DirectoryStorage::list_shards() {
  std::vector<std::string> fresh;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(journal_, missing)) {
    if (entry.path().extension() == ".jsonl" && !numbers_.contains(entry.path().filename().string())) {
      fresh.push_back(entry.path().filename().string());
    }
  }
  std::sort(fresh.begin(), fresh.end());
  for (std::string& name : fresh) {
    numbers_.emplace(name, names_.size());
    names_.push_back(std::move(name));
  }
  return names_.size();
}

std::int64_t DirectoryStorage::shard_bytes(std::size_t shard) {
  const fs::path path = journal_ / shard_name(shard);
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    REGATTA_REQUIRE(errno == ENOENT || errno == ESTALE, DataError, path.string(),
                    ": cannot open: ", std::strerror(errno));
    return -1;
  }
  return info.st_size;
}

std::string DirectoryStorage::read_shard(std::size_t shard, std::int64_t offset) {
  const fs::path path = journal_ / shard_name(shard);
  const OpenFile file(path);
  std::string text;
  std::array<char, 1 << 16> block{};
  while (true) {
    const ssize_t got = ::pread(file.fd, block.data(), block.size(), offset + static_cast<std::int64_t>(text.size()));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    REGATTA_REQUIRE(got >= 0, DataError, path.string(), ": cannot read: ", std::strerror(errno));
    if (got == 0) {
      return text;
    }
    text.append(block.data(), static_cast<std::size_t>(got));
  }
}

std::unique_ptr<ShardFile> DirectoryStorage::create_shard(const std::string& name) {
  const fs::path path = journal_ / name;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
  REGATTA_REQUIRE(fd >= 0 || errno == EEXIST, DataError, path.string(), ": cannot create: ", std::strerror(errno));
  if (fd < 0) {
    return nullptr;
  }
  auto shard = std::make_unique<DirectoryShard>(fd, path);
  sync_directory(journal_);
  return shard;
}

bool DirectoryStorage::write_whole_shard(const std::string& name, const std::string& text) {
  return claim_file(journal_ / name, text);
}

bool DirectoryStorage::try_claim(std::int64_t trial, int attempt, const Owner& owner, const Json& decision) {
  // A lost race is mostly seen by a look, which is far cheaper than the file, its fsync and the link.
  return !fs::exists(files_.claim(trial, attempt)) && regatta::try_claim(files_, trial, attempt, owner, decision);
}

std::optional<Owner> DirectoryStorage::read_claim(std::int64_t trial, int attempt) {
  return regatta::read_claim(files_, trial, attempt);
}

}  // namespace regatta
