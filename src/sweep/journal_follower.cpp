// Following a journal at work: every line decoded once, every follower with its own place in each shard.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "regatta/sweep/journal.hpp"

namespace regatta {
namespace {

constexpr std::uint64_t kLeftEvery = 16;

}  // namespace

void DecodedJournal::extend(SweepStorage& storage, std::size_t number) {
  if (shards_.size() <= number) {
    shards_.resize(number + 1);
  }
  Shard& shard = shards_[number];
  if (!shard.cut) {
    shard.cut = std::make_unique<ShardLines>(storage.shard_name(number));
    const std::size_t known = records_->shard_number(storage.shard_name(number));
    by_records_.resize(std::max(by_records_.size(), known + 1), -1);
    by_records_[known] = static_cast<std::int64_t>(number);
  }
  shard.cut->take(storage.read_shard(number, shard.cut->offset()), [&](Json&& record, std::int64_t end) {
    shard.lines.push_back({end, records_->add(record)});
  });
  shard.seen = shard.cut->progress().bytes;
}

std::optional<std::size_t> DecodedJournal::number_of(std::uint32_t shard) const {
  return shard < by_records_.size() && by_records_[shard] >= 0
             ? std::optional(static_cast<std::size_t>(by_records_[shard]))
             : std::nullopt;
}

void JournalFollower::poll(std::vector<RecordStore::Id>& records) {
  places_.resize(storage_->list_shards());
  const double now_s = clock_.monotonic_s();
  const bool all = polls_++ % kLeftEvery == 0;
  open_ = 0;
  for (std::size_t shard = 0; shard < places_.size(); ++shard) {
    if (all || !places_[shard].has_left) {
      poll_place(shard, now_s, records);
    }
    open_ += places_[shard].has_left ? 0 : 1;
  }
}

void JournalFollower::poll_shard(const std::string& name, std::vector<RecordStore::Id>& records) {
  const auto known = records_->find_shard(name);
  const auto shard = known ? decoded_->number_of(*known) : std::nullopt;
  if (!shard || *shard >= places_.size()) {
    poll(records);  // its first time
  } else {
    poll_place(*shard, clock_.monotonic_s(), records);
  }
}

void JournalFollower::poll_place(std::size_t shard, double now_s, std::vector<RecordStore::Id>& records) {
  Place& place = places_[shard];
  const std::int64_t bytes = storage_->shard_bytes(shard);
  if (bytes <= place.bytes) {
    return;
  }
  place.bytes = bytes;
  place.grown_s = now_s;
  if (decoded_->seen_bytes(shard) < bytes || !decoded_->has(shard)) {
    decoded_->extend(*storage_, shard);
  }
  const auto& lines = decoded_->lines(shard);
  for (; place.line < lines.size() && lines[place.line].end <= bytes; ++place.line) {
    records.push_back(lines[place.line].id);
    place.has_left = place.has_left || (*records_)[lines[place.line].id].type == RecordType::kLeave;
  }
}

std::optional<double> JournalFollower::quiet_s(std::uint32_t known) const {
  const auto shard = decoded_->number_of(known);
  if (!shard || *shard >= places_.size() || places_[*shard].bytes < 0) {
    return std::nullopt;
  }
  return clock_.monotonic_s() - places_[*shard].grown_s;
}

}  // namespace regatta
