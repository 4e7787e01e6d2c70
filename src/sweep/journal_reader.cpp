// Shards as JSON records: whole, sealed lines only; torn ones are passed over at the next newline.
#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/sweep/journal.hpp"

namespace regatta {
namespace {

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

void ShardLines::take(const std::string& text, const std::function<void(Json&&, std::int64_t)>& each) {
  progress_.bytes = offset_ + static_cast<std::int64_t>(text.size());
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    if (line.empty()) {
      continue;  // the writer's fresh start after a failed write
    }
    std::optional<Json> record = record_of(line, shard_);
    if (!record) {
      ++progress_.skipped;
      continue;
    }
    const auto seq = record->at("seq").get<std::int64_t>();
    if (seq <= last_seq_) {
      continue;  // written again after a failed commit
    }
    last_seq_ = seq;
    ++progress_.records;
    each(std::move(*record), offset_ + static_cast<std::int64_t>(begin));
  }
  offset_ += static_cast<std::int64_t>(begin);
  progress_.pending_bytes = static_cast<std::int64_t>(text.size() - begin);
}

std::vector<Json> JournalReader::poll() {
  const std::size_t count = storage_.list_shards();
  for (std::size_t shard = lines_.size(); shard < count; ++shard) {
    const std::string& name = storage_.shard_name(shard);
    lines_.try_emplace(name, shard, ShardLines(name));
  }
  std::vector<Json> records;
  for (auto& [name, lines] : lines_) {
    auto& [shard, cut] = lines;
    if (storage_.shard_bytes(shard) < 0) {
      continue;
    }
    cut.take(storage_.read_shard(shard, cut.offset()),
             [&records](Json&& record, std::int64_t) { records.push_back(std::move(record)); });
    progress_[name] = cut.progress();
  }
  return records;
}

std::int64_t JournalReader::skipped() const {
  std::int64_t sum = 0;
  for (const auto& [name, progress] : progress_) {
    sum += progress.skipped;
  }
  return sum;
}

}  // namespace regatta
