// The shared file system of the simulation: journal shards and claims in memory, and each job's late view of them. An
// append is one event of the clock; a view sees a prefix of the appends of another job, with a lag of its own for each,
// sometimes only half of one. A claim is atomic and never late, as link(2) is.
#pragma once

#include <deque>
#include <functional>
#include <unordered_map>

#include "options.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/sweep/journal.hpp"

namespace regatta::simulation {

/// Seconds since the start of the simulation.
class SimulatedClock final : public Clock {
 public:
  double monotonic_s() const override { return now_s; }
  std::string utc_text() const override;

  double now_s = 0.0;
};

/// A number in [0, 1) that depends on the seed and what it is for alone. Cheaper than CounterRng, and drawn billions of
/// times.
double chance(std::uint64_t seed, std::uint64_t a, std::uint64_t b, std::uint64_t c = 0);

class SharedFiles {
 public:
  SharedFiles(const SimulationOptions& options, const SimulatedClock& clock) : options_(options), clock_(clock) {}

  struct Append {
    double time_s = 0.0;
    std::int64_t bytes = 0;  ///< size behind it
  };
  struct Shard {
    std::string name;
    std::uint64_t writer = 0;  ///< view that wrote it
    double made_s = 0.0;
    std::string text;
    std::vector<Append> appends;
  };

  const std::deque<Shard>& shards() const { return shards_; }
  std::int64_t bytes() const;
  std::int64_t appends() const;

 private:
  friend class FileView;
  friend class SimulatedShard;

  const SimulationOptions& options_;
  const SimulatedClock& clock_;
  std::deque<Shard> shards_;
  std::unordered_map<std::uint64_t, Owner> claims_;
};

/// One job's view. What it costs in time is added up in `busy_s`.
class FileView final : public SweepStorage {
 public:
  /// @param view  differs for every job and restart
  FileView(SharedFiles& files, std::uint64_t view) : files_(files), view_(view) {}

  std::size_t list_shards() override;
  const std::string& shard_name(std::size_t shard) const override { return files_.shards_[shard].name; }
  std::int64_t shard_bytes(std::size_t shard) override;
  std::string read_shard(std::size_t shard, std::int64_t offset) override;
  std::unique_ptr<ShardFile> create_shard(const std::string& name) override;
  bool write_whole_shard(const std::string& name, const std::string& text) override;
  bool try_claim(std::int64_t trial, int attempt, const Owner& owner, const Json& decision) override;
  std::optional<Owner> read_claim(std::int64_t trial, int attempt) override;

  /// Told of every claim that is made.
  std::function<void(std::int64_t trial, int attempt)> on_claim;

  double busy_s = 0.0;

 private:
  struct Place {
    std::uint32_t next = 0;  ///< append that is not seen yet
    double seen_s = -1.0;    ///< when that is seen; negative: not drawn
    std::int64_t bytes = -1;
  };

  SharedFiles& files_;
  std::uint64_t view_;
  std::vector<Place> places_;
};

}  // namespace regatta::simulation
