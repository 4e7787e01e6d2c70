// Appends, claims, and who sees what when.
#include "shared_files.hpp"

#include <cerrno>

#include <fmt/format.h>

namespace regatta::simulation {
namespace {

std::uint64_t mix(std::uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

constexpr std::uint64_t kLagStream = 1;
constexpr std::uint64_t kListStream = 2;
constexpr std::uint64_t kTornStream = 3;
constexpr double kHalfSeen = 0.1;  ///< share of appends of which half is seen first

}  // namespace

double chance(std::uint64_t seed, std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  return static_cast<double>(mix(mix(mix(mix(seed) ^ a) ^ b) ^ c) >> 11) * 0x1.0p-53;
}

std::string SimulatedClock::utc_text() const {
  const auto second = static_cast<std::int64_t>(now_s);
  return fmt::format("2026-01-{:02}T{:02}:{:02}:{:02}Z", 1 + second / 86400, second / 3600 % 24, second / 60 % 60,
                     second % 60);
}

std::int64_t SharedFiles::bytes() const {
  std::int64_t sum = 0;
  for (const Shard& shard : shards_) {
    sum += static_cast<std::int64_t>(shard.text.size());
  }
  return sum;
}

std::int64_t SharedFiles::appends() const {
  std::int64_t sum = 0;
  for (const Shard& shard : shards_) {
    sum += static_cast<std::int64_t>(shard.appends.size());
  }
  return sum;
}

class SimulatedShard final : public ShardFile {
 public:
  SimulatedShard(SharedFiles& files, std::size_t shard) : files_(files), shard_(shard) {}

  int append(std::string_view text) override {
    SharedFiles::Shard& shard = files_.shards_[shard_];
    const bool torn = chance(static_cast<std::uint64_t>(files_.options_.seed), kTornStream, shard_,
                             shard.appends.size()) < files_.options_.write_torn;
    shard.text += torn ? text.substr(0, text.size() / 2) : text;
    shard.appends.push_back({files_.clock_.now_s, static_cast<std::int64_t>(shard.text.size())});
    return torn ? EIO : 0;
  }

  std::string path() const override { return files_.shards_[shard_].name; }

 private:
  SharedFiles& files_;
  std::size_t shard_;
};

std::size_t FileView::list_shards() {
  places_.resize(files_.shards_.size());
  return places_.size();
}

std::int64_t FileView::shard_bytes(std::size_t number) {
  busy_s += files_.options_.look_us * 1e-6;
  const SharedFiles::Shard& shard = files_.shards_[number];
  if (shard.writer == view_) {
    return static_cast<std::int64_t>(shard.text.size());
  }
  const auto seed = static_cast<std::uint64_t>(files_.options_.seed);
  const double now_s = files_.clock_.now_s;
  Place& place = places_[number];
  while (place.next < shard.appends.size()) {
    const SharedFiles::Append& append = shard.appends[place.next];
    if (place.seen_s < 0) {
      double lag_s = files_.options_.view_lag_s * chance(seed, kLagStream, view_ << 20 | number, place.next);
      if (place.bytes < 0) {  // not listed yet
        lag_s = std::max(lag_s, shard.made_s - append.time_s +
                                    files_.options_.list_lag_s * chance(seed, kListStream, view_, number));
      }
      place.seen_s = append.time_s + lag_s;
      if (lag_s < kHalfSeen * files_.options_.view_lag_s && place.bytes >= 0) {
        place.bytes += (append.bytes - place.bytes) / 2;
      }
    }
    if (now_s < place.seen_s) {
      break;
    }
    place.bytes = append.bytes;
    place.seen_s = -1.0;
    ++place.next;
  }
  return place.bytes;
}

std::string FileView::read_shard(std::size_t number, std::int64_t offset) {
  const SharedFiles::Shard& shard = files_.shards_[number];
  const std::int64_t seen =
      shard.writer == view_ ? static_cast<std::int64_t>(shard.text.size()) : places_[number].bytes;
  return shard.text.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(seen - offset));
}

std::unique_ptr<ShardFile> FileView::create_shard(const std::string& name) {
  files_.shards_.push_back({name, view_, files_.clock_.now_s, {}, {}});
  places_.resize(files_.shards_.size());
  return std::make_unique<SimulatedShard>(files_, files_.shards_.size() - 1);
}

bool FileView::write_whole_shard(const std::string& name, const std::string& text) {
  for (const SharedFiles::Shard& shard : files_.shards_) {
    if (shard.name == name) {
      return false;
    }
  }
  const auto bytes = static_cast<std::int64_t>(text.size());
  files_.shards_.push_back({name, view_, files_.clock_.now_s, text, {{files_.clock_.now_s, bytes}}});
  places_.resize(files_.shards_.size());
  busy_s += files_.options_.claim_s;
  return true;
}

bool FileView::try_claim(std::int64_t trial, int attempt, const Owner& owner, const Json& /*decision*/) {
  const std::uint64_t key = static_cast<std::uint64_t>(trial) << 20 | static_cast<std::uint64_t>(attempt);
  const bool won = files_.claims_.try_emplace(key, owner).second;
  busy_s += won ? files_.options_.claim_s : files_.options_.look_us * 1e-6;
  if (won && on_claim) {
    on_claim(trial, attempt);
  }
  return won;
}

std::optional<Owner> FileView::read_claim(std::int64_t trial, int attempt) {
  const auto found = files_.claims_.find(static_cast<std::uint64_t>(trial) << 20 | static_cast<std::uint64_t>(attempt));
  return found == files_.claims_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace regatta::simulation
