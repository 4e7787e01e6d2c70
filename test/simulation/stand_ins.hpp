// What the program's coordinator speaks with, played by the simulation: ranks, the journal's disk, trials, Slurm.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "draws.hpp"
#include "regatta/base/error.hpp"

namespace regatta::simulation {

inline constexpr const char* kRecipeHash = "00000000cafe0000";

/// What a trial's process would have left.
inline TrialResult result_of(const World& world, std::int64_t trial) {
  TrialResult result;
  result.recipe_hash = kRecipeHash;
  result.steps = kSteps;
  result.epochs = 100;
  result.parameters = 327000;
  result.best_metric = "dice";
  result.best_step = kSteps;
  const double dice = 0.6 + 0.2 * world.draw(kDice, static_cast<std::uint64_t>(trial));
  result.best = {{"dice", dice}, {"folding", 0.001}, {"ncc", -0.4}};
  result.initial = {{"dice", 0.5}, {"folding", 0.0}, {"ncc", -0.2}};
  result.last = result.best;
  result.ms_per_step = 1000.0 * step_seconds(world, trial);
  result.weights_xxh3 = "0123456789abcdef";
  return result;
}

/// Letters that wait for their ranks.
class SimulatedRanks final : public Ranks {
 public:
  explicit SimulatedRanks(int size) : size_(size) {}

  int rank() const override { return 0; }
  int size() const override { return size_; }
  std::vector<std::string> gather(const std::string& text) override {
    return std::vector<std::string>(static_cast<std::size_t>(size_), text);
  }
  void leave(double) override {}

  std::vector<Letter> take_sent() {
    for (Letter& own : receive()) {
      sent_.push_back({0, std::move(own.body)});
    }
    return std::exchange(sent_, {});
  }

 protected:
  void send_away(int to, std::string text) override {
    if (text != last_text_) {  // the same to all ranks, mostly
      last_ = parse_json(text, "letter");
      last_text_ = std::move(text);
    }
    sent_.push_back({to, last_});
  }
  void receive_arrived(std::vector<Letter>&) override {}

 private:
  int size_;
  std::vector<Letter> sent_;
  std::string last_text_;
  Json last_;
};

/// Group commit whose disk answers when the simulation says so.
class SimulatedJournal final : public DurableJournal {
 public:
  SimulatedJournal(JournalWriter& writer, std::function<void()> wake) : writer_(writer), wake_(std::move(wake)) {}

  std::int64_t append(const std::string& type, const Json& fields) override {
    const std::int64_t number = writer_.append(type, fields);
    wake_();
    return number;
  }
  bool is_durable(std::int64_t number) const override { return writer_.durable() >= number; }
  double durable_age_s(const Clock& clock) const override { return clock.monotonic_s() - writer_.last_commit_s(); }
  std::string error() const override { return error_; }

  bool commit() {
    try {
      writer_.commit();
      error_.clear();
    } catch (const DataError& failure) {
      error_ = failure.what();
    }
    return error_.empty();
  }

 private:
  JournalWriter& writer_;
  std::function<void()> wake_;
  std::string error_;
};

/// Trials without folders: what stands there is the simulation's truth, seen as late as anything else.
class SimulatedBook final : public TrialBook {
 public:
  SimulatedBook(World& world, std::uint64_t view, std::vector<std::int64_t> rungs)
      : world_(world), view_(view), rungs_(std::move(rungs)) {}

  std::int64_t rung_step(std::int64_t, int rung) override {
    return rungs_.at(static_cast<std::size_t>(rung)) * kStepsPerEpoch;
  }

  /// Gone for all at once; nobody may be at the trial.
  void drop_checkpoints(const TrialFiles& files) override {
    const std::int64_t trial = std::stoll(files.root.filename().string().substr(1));
    TrialTruth& truth = world_.truth[static_cast<std::size_t>(trial)];
    if (truth.living > 0) {
      world_.faults.push_back(str("trial ", trial, " lost its checkpoints while a child was at it"));
    }
    truth.saved.clear();
    truth.dropped = true;
  }

  std::string recipe_hash(std::int64_t) override { return kRecipeHash; }
  std::int64_t steps(std::int64_t) const override { return kSteps; }
  double mean_steps() const override { return static_cast<double>(kSteps); }
  int bear(std::int64_t, const TrialFiles&, int threads) override { return threads; }

  std::optional<TrialResult> standing_result(const TrialFiles& files) const override {
    const std::int64_t trial = std::stoll(files.root.filename().string().substr(1));
    const TrialTruth::Saved& result = world_.truth[static_cast<std::size_t>(trial)].result;
    const bool seen =
        result.step > 0 && (result.by == view_ || result.time_s + world_.options.view_lag_s <= world_.clock.now_s);
    return seen ? std::optional(result_of(world_, trial)) : std::nullopt;
  }

 private:
  World& world_;
  std::uint64_t view_;
  std::vector<std::int64_t> rungs_;
};

class SimulatedProbe final : public JobProbe {
 public:
  explicit SimulatedProbe(const World& world) : world_(world) {}

  JobListing look_up(const JobPlace& place) override {
    const auto hour = static_cast<std::uint64_t>(world_.clock.now_s / 3600.0);
    const auto found = world_.queue.find(place.job);
    if (found == world_.queue.end() || world_.draw(kSqueue, hour) < world_.options.squeue_silent) {
      return JobListing::kUnknown;
    }
    const bool listed =
        found->second.present || world_.clock.now_s < found->second.ended_s + world_.options.squeue_lag_s;
    return listed ? JobListing::kListed : JobListing::kNotListed;
  }

 private:
  const World& world_;
};

}  // namespace regatta::simulation
