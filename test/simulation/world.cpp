// The event loop of the simulation.
#include "world.hpp"

#include <cmath>
#include <iostream>
#include <numbers>

#include "job.hpp"
#include "regatta/base/error.hpp"

namespace regatta::simulation {
namespace {

constexpr double kLongest_s = 60.0 * 86400.0;
constexpr double kTellEvery_s = 1800.0;
constexpr std::uint64_t kJoinStream = 10;

}  // namespace

World::World(const SimulationOptions& given)
    : options(given),
      files(given, clock),
      truth(static_cast<std::size_t>(given.trials)),
      unclaimed(given.trials / given.replicates) {
  for (int job = 0; job < options.coordinators; ++job) {
    jobs_.push_back(std::make_unique<Job>(*this, job));
    schedule(options.join_within_s * draw(kJoinStream, static_cast<std::uint64_t>(job)), Event::Kind::kStart, job);
  }
}

World::~World() = default;

void World::run() {
  double told_s = 0.0;
  while (!events_.empty()) {
    const Event event = events_.top();
    events_.pop();
    if (event.time_s >= kLongest_s && ranks_up == 0) {
      break;  // kills and time limits that are yet to come, of jobs that have ended
    }
    REGATTA_REQUIRE(event.time_s < kLongest_s, BugError, "simulation: not over after ", duration_text(event.time_s));
    clock.now_s = event.time_s;
    ++measures.events;
    if (clock.now_s >= told_s && ranks_up > 0) {
      std::cerr << str("simulated ", duration_text(clock.now_s), ": ", options.trials / options.replicates - unclaimed,
                       " of ", options.trials / options.replicates, " points claimed, ", ranks_living, " of ", ranks_up,
                       " ranks at work\n");
      told_s = clock.now_s + kTellEvery_s;
    }
    jobs_[static_cast<std::size_t>(event.job)]->handle(event);
  }
  account();
}

void World::schedule(double time_s, Event::Kind kind, int job, int rank, std::uint64_t ticket) {
  events_.push({time_s, ++order_, kind, job, rank, ticket});
}

void World::account() {
  const double passed_s = clock.now_s - accounted_s_;
  accounted_s_ = clock.now_s;
  const double up_s = passed_s * static_cast<double>(ranks_up);
  const double living_s = passed_s * static_cast<double>(ranks_living);
  measures.all_rank_s += up_s;
  measures.all_living_rank_s += living_s;
  if (unclaimed > 0) {
    measures.rank_s += up_s;
    measures.living_rank_s += living_s;
  }
}

double World::exponential(double mean, std::uint64_t stream, std::uint64_t a, std::uint64_t b) const {
  return -mean * std::log(1.0 - draw(stream, a, b));
}

double World::log_normal(double median, double sigma, std::uint64_t stream, std::uint64_t a, std::uint64_t b) const {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - draw(stream, a, b)));
  return median * std::exp(sigma * radius * std::cos(2.0 * std::numbers::pi * draw(stream + 1000, a, b)));
}

}  // namespace regatta::simulation
