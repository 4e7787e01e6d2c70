// Reads journal shards as they grow: whole, sealed lines only; torn ones are passed over at the next newline.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "regatta/sweep/journal.hpp"

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

/// What the file holds from `offset` on, as far as it goes now.
std::string read_from(const fs::path& path, std::int64_t offset) {
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

/// The record on a line, or nothing if it is torn, foreign or of another shard.
std::optional<Json> record_of(const std::string& line, const std::string& shard) {
  if (!is_sealed(line)) {
    return std::nullopt;
  }
  Json record = Json::parse(line, nullptr, false);
  if (!record.is_object()) {
    return std::nullopt;
  }
  const auto type = record.find("type");
  const auto seq = record.find("seq");
  const auto own = record.find("shard");
  if (type == record.end() || !type->is_string() || seq == record.end() || !seq->is_number_integer() ||
      own == record.end() || *own != shard) {
    return std::nullopt;
  }
  record.erase("xxh3");
  return record;
}

}  // namespace

std::vector<Json> JournalReader::poll() {
  std::vector<std::string> names;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(directory_, missing)) {
    if (entry.path().extension() == ".jsonl") {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  std::vector<Json> records;
  for (const std::string& name : names) {
    read_shard(name, records);
  }
  return records;
}

void JournalReader::read_shard(const std::string& name, std::vector<Json>& records) {
  Position& position = positions_[name];
  ShardProgress& progress = progress_[name];
  const std::string text = read_from(directory_ / name, position.offset);
  progress.bytes = position.offset + static_cast<std::int64_t>(text.size());
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    if (line.empty()) {
      continue;  // the writer's fresh start after a failed write
    }
    std::optional<Json> record = record_of(line, name);
    if (!record) {
      ++progress.skipped;
      continue;
    }
    const auto seq = record->at("seq").get<std::int64_t>();
    if (seq <= position.last_seq) {
      continue;  // written again after a failed commit
    }
    position.last_seq = seq;
    ++progress.records;
    records.push_back(std::move(*record));
  }
  position.offset += static_cast<std::int64_t>(begin);
  progress.pending_bytes = static_cast<std::int64_t>(text.size() - begin);
}

std::int64_t JournalReader::skipped() const {
  std::int64_t sum = 0;
  for (const auto& [name, progress] : progress_) {
    sum += progress.skipped;
  }
  return sum;
}

}  // namespace regatta
