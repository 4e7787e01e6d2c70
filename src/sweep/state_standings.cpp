// Of the state of a sweep: points at rungs, what decisions are made from, and budgets.
#include <algorithm>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "regatta/base/text.hpp"
#include "regatta/sweep/state.hpp"

namespace regatta {
namespace {

/// A fold of a point, or the point's only trial.
struct Climber {
  AttemptList records;
  TrialOutcome outcome;
};

PointState state_of(const std::vector<Climber>& climbers) {
  const auto count = [&climbers](auto&& fits) {
    return static_cast<std::size_t>(
        std::count_if(climbers.begin(), climbers.end(), [&](const Climber& each) { return fits(each.outcome); }));
  };
  const std::size_t all = climbers.size();
  const std::size_t pruned = count([](const TrialOutcome& each) { return each.status == TrialStatus::kPruned; });
  const std::size_t held = count([](const TrialOutcome& each) { return each.phase == TrialPhase::kHeld; });
  const bool is_lost = count([](const TrialOutcome& each) {
                         return each.status == TrialStatus::kInfeasible || each.status == TrialStatus::kFailed ||
                                each.status == TrialStatus::kQuarantined;
                       }) > 0;
  if (is_lost) {
    return PointState::kLost;
  }
  if (count([](const TrialOutcome& each) { return each.status == TrialStatus::kDiverged; }) > 0) {
    return PointState::kDiverged;
  }
  if (count([](const TrialOutcome& each) { return each.status == TrialStatus::kOk; }) == all) {
    return PointState::kFinished;
  }
  if (pruned == all) {
    return PointState::kPruned;
  }
  return held + pruned == all ? PointState::kHeld : PointState::kClimbing;
}

/// By rung the mean, as far as all have reached it.
std::vector<std::optional<double>> values_of(const std::vector<Climber>& climbers) {
  std::size_t reached = std::numeric_limits<std::size_t>::max();
  for (const Climber& climber : climbers) {
    reached = std::min(reached, climber.records.rungs.size());
  }
  std::vector<std::optional<double>> means;
  for (std::size_t rung = 0; rung < reached; ++rung) {
    std::optional<double> sum = 0.0;
    for (const Climber& climber : climbers) {
      const auto& value = climber.records.rungs[rung].value;
      sum = sum && value ? std::optional(*sum + *value) : std::nullopt;
    }
    means.push_back(sum ? std::optional(*sum / static_cast<double>(climbers.size())) : std::nullopt);
  }
  return means;
}

std::optional<double> last_of(const std::vector<Climber>& climbers, const SweepRules& rules) {
  double sum = 0.0;
  for (const Climber& climber : climbers) {
    const Json* values = find_pointer(climber.outcome.result->details->values, "/last");
    const auto value = values == nullptr ? std::nullopt : objective_in(*values, rules);
    if (!value) {
      return std::nullopt;
    }
    sum += *value;
  }
  return sum / static_cast<double>(climbers.size());
}

}  // namespace

/// Keeps what decisions are made from: which records there were, the GPU time, the best value.
void SweepState::note_decision(const JournalRecord& record) {
  gpu_ms_ += std::llround(1000.0 * static_cast<double>(record.gpu_s));
  switch (record.type) {
    case RecordType::kReport: note_value(objective_in(record.details->values, rules_)); return;
    case RecordType::kEnd:
    case RecordType::kExtend:
    case RecordType::kExtension:
    case RecordType::kRetry:
    case RecordType::kRung:
    case RecordType::kPromote:
    case RecordType::kPrune: break;
    default: return;
  }
  if (cut_.size() <= record.shard) {
    cut_.resize(std::size_t{record.shard} + 1, 0);
  }
  cut_[record.shard] = std::max(cut_[record.shard], record.seq);
}

void SweepState::note_value(const std::optional<double>& value) {
  if (value && (!best_value_ || rules_.is_better(*value, *best_value_))) {
    best_value_ = value;
  }
}

void SweepState::apply_budget(const Json& record) {
  Budget budget;
  const auto hours = record.find("gpu_hours");
  const auto target = record.find("target");
  budget.gpu_hours = hours != record.end() && hours->is_number() ? hours->get<double>() : 0.0;
  budget.target = target != record.end() && target->is_number() ? std::optional(target->get<double>()) : std::nullopt;
  budget_ = budget_ ? extended(*budget_, budget, rules_.maximise) : budget;
}

/// After one of its trials has changed.
void SweepState::note_point(std::int64_t number) {
  const auto point = standings_.point_of(number);
  if (!point || standings_.is_follower(number)) {
    return;
  }
  const PointState before = standings_.state(*point);
  standings_.note(*point, facts_of(*point));
  const PointState now = standings_.state(*point);
  if (now == before) {
    return;
  }
  const bool is_over = now == PointState::kPruned || now == PointState::kLost || now == PointState::kDiverged;
  for (const std::int64_t follower : standings_.followers(*point)) {
    ready_.erase(follower);
    abandoned_.erase(follower);
    if (now == PointState::kFinished) {
      ready_.insert(follower);
    } else if (is_over) {
      abandoned_.insert(follower);
    }
  }
}

/// Of all its climbing trials together.
PointFacts SweepState::facts_of(std::int32_t point) const {
  std::vector<Climber> climbers;
  for (const std::int64_t number : standings_.climbers(point)) {
    climbers.emplace_back();
    if (const Trial* trial = find(number)) {
      gather_attempts(history_of(*trial), climbers.back().records);
      climbers.back().outcome = outcome_of(climbers.back().records, context(), standings_.level_of(number));
    }
  }
  PointFacts facts;
  facts.state = state_of(climbers);
  facts.values = values_of(climbers);
  if (facts.state == PointState::kFinished) {
    facts.last = last_of(climbers, rules_);
  }
  return facts;
}

void SweepState::settle_point(std::int32_t point) {
  for (const auto& trials : {standings_.climbers(point), standings_.followers(point)}) {
    for (const std::int64_t number : trials) {
      if (find(number) != nullptr) {
        settle(number, trial_at(number));
      }
    }
  }
}

std::optional<std::int64_t> SweepState::next_follower(const std::set<std::int64_t>& exclude) const {
  for (const std::int64_t number : ready_) {
    const Trial* trial = find(number);
    const bool is_new = trial == nullptr || trial->phase == TrialPhase::kWaiting;
    if (is_new && !exclude.contains(number)) {
      return number;
    }
  }
  return std::nullopt;
}

std::vector<std::int64_t> SweepState::hopeless() const {
  std::vector<std::int64_t> numbers;
  for (const RungPlace& place : standings_.is_on() ? standings_.hopeless() : std::vector<RungPlace>()) {
    for (const std::int64_t number : standings_.climbers(place.point)) {
      numbers.push_back(number);
    }
  }
  numbers.insert(numbers.end(), abandoned_.begin(), abandoned_.end());
  std::erase_if(numbers, [this](std::int64_t number) {
    const Trial* trial = find(number);
    return trial != nullptr && trial->phase != TrialPhase::kHeld && trial->phase != TrialPhase::kWaiting;
  });
  return numbers;
}

const std::string& SweepState::keeper(std::int64_t number) const {
  static const std::string nobody;
  const Trial* trial = find(number);
  const auto point = standings_.point_of(number);
  if ((trial == nullptr || trial->attempts == 0) && point) {
    trial = find(standings_.climbers(*point).front());
  }
  return trial == nullptr ? nobody : records_->shard_name(trial->shard);
}

std::optional<int> SweepState::next_rung(std::int64_t number) const {
  const int level = standings_.level_of(number);
  const bool pauses = standings_.is_on() && !standings_.is_follower(number) && level < standings_.rungs();
  return pauses ? std::optional(level) : std::nullopt;
}

Json SweepState::cut_since(const RecordCut& before) const {
  Json news = Json::object();
  for (std::size_t shard = 0; shard < cut_.size(); ++shard) {
    const std::uint32_t known = shard < before.size() ? before[shard] : 0;
    if (cut_[shard] > known) {
      news[records_->shard_name(static_cast<std::uint32_t>(shard))] = cut_[shard];
    }
  }
  return news;
}

Budget extended(const Budget& a, const Budget& b, bool maximise) {
  Budget both;
  both.gpu_hours = a.gpu_hours == 0 || b.gpu_hours == 0 ? 0.0 : std::max(a.gpu_hours, b.gpu_hours);
  if (a.target && b.target) {
    both.target = maximise ? std::max(*a.target, *b.target) : std::min(*a.target, *b.target);
  }
  return both;
}

std::string SweepState::spent_text() const {
  const Budget now = budget();
  if (now.gpu_hours > 0 && gpu_hours() >= now.gpu_hours) {
    return str(to_text(std::round(100.0 * gpu_hours()) / 100.0), " of ", to_text(now.gpu_hours), " GPU-hours are used");
  }
  if (now.target && best_value_ && !rules_.is_better(*now.target, *best_value_)) {
    return str(rules_.metric, " ", to_text(*best_value_), " reaches the target of ", to_text(*now.target));
  }
  return "";
}

}  // namespace regatta
