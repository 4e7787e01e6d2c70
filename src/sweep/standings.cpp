// Points at rungs: sorted results, promotions, and when a rung can get no more.
#include "regatta/sweep/standings.hpp"

#include <algorithm>

#include "regatta/sweep/definition.hpp"

namespace regatta {
namespace {

std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

}  // namespace

Standings::Standings(const SweepRules& rules)
    : options_(rules.scheduler),
      rungs_(rules.rungs),
      maximise_(rules.maximise),
      replicates_(rules.replicates),
      born_(rules.born) {
  if (rungs_ > 0) {
    scheduler_ = make_scheduler(options_.name);
  }
}

void Standings::place(std::int64_t total, const std::vector<Extension>& extensions) {
  if (!is_on()) {
    return;
  }
  points_.clear();
  point_of_.clear();
  next_.clear();
  replicate_.clear();
  by_index_.clear();
  keys_.clear();
  results_.assign(at(rungs_), {});
  arrived_.assign(at(rungs_), 0);
  auto extension = extensions.begin();
  for (std::int64_t number = 0; number < total; ++number) {
    while (extension != extensions.end() && (!extension->is_listed() || number >= extension->trials)) {
      ++extension;
    }
    const bool is_listed = extension != extensions.end() && number >= extension->first;
    TrialPoint trial;
    if (is_listed) {
      trial = extension->added[at(number - extension->first)];
    } else if (born_) {
      trial = born_(number);
    } else {
      trial.index = number / replicates_;
      trial.replicate = static_cast<int>(number % replicates_);
    }
    add_trial(point_at(trial), trial.replicate);
  }
  sent_.assign(at(rungs_) + 1, 0);
  sent_[0] = points();
  most_.assign(at(rungs_), points());
  for (int rung = 1; rung < rungs_; ++rung) {
    const std::int64_t below = most_[at(rung - 1)];
    most_[at(rung)] = scheduler_->promotes(options_, {below, below, true});
  }
  promoted_.resize(std::max(promoted_.size(), at(total)), 0);
  for (std::int64_t number = 0; number < total; ++number) {
    set_level(points_[at(point_of_[at(number)])], promoted_[at(number)]);
  }
}

std::int32_t Standings::point_at(const TrialPoint& trial) {
  const auto fresh = static_cast<std::int32_t>(points_.size());
  const auto known_or_fresh = [&] {
    if (born_) {
      regatta::Point values = trial.point;
      values.erase(kFoldAxis);
      return keys_.try_emplace(point_key(values), fresh).first->second;
    }
    by_index_.resize(std::max(by_index_.size(), at(trial.index) + 1), -1);
    std::int32_t& known = by_index_[at(trial.index)];
    known = known < 0 ? fresh : known;
    return known;
  };
  const std::int32_t point = known_or_fresh();
  if (point == fresh) {
    points_.emplace_back();
  }
  return point;
}

/// The next number.
void Standings::add_trial(std::int32_t point, int replicate) {
  const auto number = static_cast<std::int32_t>(point_of_.size());
  point_of_.push_back(point);
  next_.push_back(-1);
  replicate_.push_back(static_cast<std::uint16_t>(replicate));
  std::int32_t* last = &points_[at(point)].first;
  while (*last >= 0) {
    last = &next_[at(*last)];
  }
  *last = number;
}

std::vector<std::int64_t> Standings::members(std::int32_t point, bool follow) const {
  std::vector<std::int64_t> found;
  for (std::int32_t trial = points_[at(point)].first; trial >= 0; trial = next_[at(trial)]) {
    if (is_follower(trial) == follow) {
      found.push_back(trial);
    }
  }
  return found;
}

std::optional<std::int32_t> Standings::point_of(std::int64_t trial) const {
  return trial >= 0 && at(trial) < point_of_.size() ? std::optional(point_of_[at(trial)]) : std::nullopt;
}

bool Standings::is_follower(std::int64_t trial) const {
  return trial >= 0 && at(trial) < replicate_.size() && replicate_[at(trial)] > 0;
}

int Standings::level_of(std::int64_t trial) const {
  const auto point = point_of(trial);
  return point ? points_[at(*point)].level : 0;
}

void Standings::set_level(Climb& climb, int level) {
  for (level = std::min(level, rungs_); climb.level < level;) {
    ++sent_[++climb.level];
  }
}

void Standings::promote(std::int64_t trial, int rung) {
  if (!is_on() || trial < 0) {
    return;
  }
  promoted_.resize(std::max(promoted_.size(), at(trial) + 1), 0);
  promoted_[at(trial)] = static_cast<std::uint8_t>(std::max<int>(promoted_[at(trial)], rung + 1));
  if (const auto point = point_of(trial)) {
    set_level(points_[at(*point)], rung + 1);
  }
}

bool Standings::precedes(const RungResult& a, const RungResult& b) const {
  if (a.value.has_value() != b.value.has_value()) {
    return a.value.has_value();
  }
  if (a.value && *a.value != *b.value) {
    return maximise_ ? *a.value > *b.value : *a.value < *b.value;
  }
  return a.point < b.point;
}

void Standings::note(std::int32_t number, const PointFacts& facts) {
  Climb& climb = points_[at(number)];
  climb.state = facts.state;
  std::vector<std::optional<double>> values = facts.values;
  values.resize(std::min(values.size(), at(rungs_)));
  const bool ends_here = facts.state == PointState::kDiverged || facts.state == PointState::kFinished;
  if (ends_here && values.size() < at(rungs_) && values.size() <= climb.level) {
    values.push_back(facts.state == PointState::kFinished ? facts.last : std::nullopt);
  }
  set_results(number, values);
  const bool is_lost = facts.state == PointState::kLost && climb.results <= climb.level;
  const int arrived = std::min(rungs_, is_lost ? climb.level + 1 : int{climb.results});
  for (; climb.arrived < arrived; ++climb.arrived) {
    ++arrived_[climb.arrived];
  }
  for (; climb.arrived > arrived; --climb.arrived) {
    --arrived_[at(climb.arrived) - 1];
  }
}

void Standings::set_results(std::int32_t number, const std::vector<std::optional<double>>& values) {
  Climb& climb = points_[at(number)];
  const auto order = [this](const RungResult& a, const RungResult& b) { return precedes(a, b); };
  for (std::size_t rung = 0; rung < std::max(values.size(), std::size_t{climb.results}); ++rung) {
    std::vector<RungResult>& results = results_[rung];
    const RungResult wanted{rung < values.size() ? values[rung] : std::nullopt, number};
    const auto place = std::lower_bound(results.begin(), results.end(), wanted, order);
    const bool is_there = place != results.end() && place->point == number && place->value == wanted.value;
    if (rung < values.size() && is_there) {
      continue;
    }
    if (rung < climb.results) {  // another value than before: an earlier attempt's record has come in
      std::erase_if(results, [number](const RungResult& each) { return each.point == number; });
    }
    if (rung < values.size()) {
      results.insert(std::lower_bound(results.begin(), results.end(), wanted, order), wanted);
    }
  }
  climb.results = static_cast<std::uint8_t>(values.size());
}

/// Of the best that may go on and has not yet.
bool Standings::is_open(const RungResult& result, int rung) const {
  const Climb& climb = points_[at(result.point)];
  const bool is_decided_once = options_.form == "stop";  // else a growing quota recalls what was pruned
  const bool may_go_on = climb.state == PointState::kClimbing || climb.state == PointState::kHeld ||
                         (climb.state == PointState::kPruned && !is_decided_once);
  return climb.level == rung && may_go_on && result.value.has_value();
}

/// Nothing is on its way to it, and the rung below sends no more.
bool Standings::is_closed(int rung) const {
  if (arrived_[at(rung)] < sent_[at(rung)]) {
    return false;
  }
  if (rung == 0) {
    return true;
  }
  if (!is_closed(rung - 1)) {
    return false;
  }
  const auto& below = results_[at(rung - 1)];
  const auto size = static_cast<std::int64_t>(below.size());
  const std::int64_t quota = scheduler_->promotes(options_, {size, most_[at(rung - 1)], true});
  return std::none_of(below.begin(), below.begin() + std::min(size, quota),
                      [&](const RungResult& each) { return is_open(each, rung - 1); });
}

RungCount Standings::count(int rung) const {
  return {static_cast<std::int64_t>(results_[at(rung)].size()), std::max(most_[at(rung)], sent_[at(rung)]),
          is_closed(rung)};
}

std::vector<RungPlace> Standings::promotable() const {
  std::vector<RungPlace> places;
  for (int rung = rungs_ - 1; rung >= 0; --rung) {
    const auto& results = results_[at(rung)];
    const auto size = static_cast<std::int64_t>(results.size());
    const std::int64_t quota = std::min(size, scheduler_->promotes(options_, count(rung)));
    for (std::int64_t i = 0; i < quota; ++i) {
      const PointState state = points_[at(results[at(i)].point)].state;
      if (is_open(results[at(i)], rung) && state != PointState::kClimbing) {
        places.push_back({results[at(i)].point, rung, i + 1, size});
      }
    }
  }
  return places;
}

std::vector<RungPlace> Standings::hopeless() const {
  std::vector<RungPlace> places;
  for (int rung = 0; rung < rungs_; ++rung) {
    const auto& results = results_[at(rung)];
    const auto size = static_cast<std::int64_t>(results.size());
    const std::int64_t keeps = scheduler_->keeps(options_, count(rung));
    for (std::int64_t i = 0; i < size; ++i) {
      const Climb& climb = points_[at(results[at(i)].point)];
      const bool is_out = i >= keeps || !results[at(i)].value;
      if (climb.level == rung && climb.state == PointState::kHeld && is_out) {
        places.push_back({results[at(i)].point, rung, i + 1, size});
      }
    }
  }
  return places;
}

}  // namespace regatta
