// Sobol's sequence: known vectors, scrambling, and how a job uses it. test/interop/check_samplers.py compares it with
// SciPy.
#include <cstdlib>
#include <set>

#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/sweep/definition.hpp"
#include "support/catch.hpp"
#include "sweep/sobol_sequence.hpp"

using namespace regatta;
using regatta::test::FakeDescriber;
using regatta::test::small_job;

namespace {

JobOptions sobol_job(std::int64_t trials) {
  JobOptions job = small_job();
  job.axes["/optim/lr"].points = 0;
  job.sampler = "sobol";
  job.trials = trials;
  return job;
}

std::vector<std::string> notes_of(const JobOptions& job) {
  FakeDescriber describer;
  return define_sweep(job, describer).notes;
}

}  // namespace

TEST_CASE("the unscrambled sequence begins as published") {
  const SobolSequence sequence(4);
  const std::vector<std::vector<double>> published = {{0, 0, 0, 0},
                                                      {0.5, 0.5, 0.5, 0.5},
                                                      {0.75, 0.25, 0.25, 0.25},
                                                      {0.25, 0.75, 0.75, 0.75},
                                                      {0.375, 0.375, 0.625, 0.875}};
  for (std::uint32_t i = 0; i < published.size(); ++i) {
    for (std::size_t d = 0; d < 4; ++d) {
      CHECK(sequence.at(i, d) == published[i][d]);
    }
  }
  CHECK_THROWS_AS(SobolSequence(129), BugError);
}

TEST_CASE("every 2^m points have one in each of 2^m intervals of every dimension, scrambled or not") {
  constexpr std::uint32_t kPoints = 1024;
  for (const auto& sequence : {SobolSequence(128), SobolSequence(128, 5)}) {
    for (std::size_t d = 0; d < 128; ++d) {
      for (const std::uint32_t first : {std::uint32_t{0}, 7 * kPoints}) {
        std::set<int> intervals;
        for (std::uint32_t i = 0; i < kPoints; ++i) {
          intervals.insert(static_cast<int>(sequence.at(first + i, d) * kPoints));
        }
        CHECK(intervals.size() == kPoints);
      }
    }
  }
}

TEST_CASE("the scrambling keeps two dimensions jointly even and depends on the seed") {
  const SobolSequence sequence(2, 3);
  std::set<std::pair<int, int>> cells;
  for (std::uint32_t i = 0; i < 256; ++i) {
    cells.emplace(static_cast<int>(sequence.at(i, 0) * 16), static_cast<int>(sequence.at(i, 1) * 16));
  }
  CHECK(cells.size() == 256);
  CHECK(sequence.at(0, 0) != SobolSequence(2, 4).at(0, 0));
  CHECK(sequence.at(0, 0) != sequence.at(0, 1));
  // Fixed for ever: saved sweeps depend on it.
  CHECK(sequence.at(0, 0) * 0x1p32 == 1738170046.0);
}

TEST_CASE("sobol points depend on seed and number alone, and plan advises a power of two") {
  const Point seventh = Space(sobol_job(8)).trial(7).point;
  CHECK(Space(sobol_job(1000)).trial(7).point == seventh);
  JobOptions job = sobol_job(8);
  job.seed = 1;
  CHECK(Space(job).trial(7).point != seventh);
  CHECK(notes_of(sobol_job(16)).empty());
  CHECK(notes_of(sobol_job(20)) == std::vector<std::string>{"/trials: 20 points; Sobol points fill the space evenly at "
                                                            "powers of two: take 16 or 32"});
  job = sobol_job(20);
  job.replicates = 2;
  CHECK(notes_of(job) == std::vector<std::string>{"/trials: 20 for 10 points; Sobol points fill the space evenly at "
                                                  "powers of two: take 16 or 32"});
  job = sobol_job(8);
  job.sobol.scramble = false;
  CHECK(Space(job).trial(0).point.at("/optim/lr") == 1e-4);
  job.sampler = "grid";
  CHECK_THROWS_WITH(validate(job), "/sobol/scramble: has no effect with the sampler grid");
}

TEST_CASE("sobol trains each setting on all folds, where folds are an axis") {
  JobOptions job = sobol_job(8);
  const Space plain(job);
  job.axes[kFoldAxis].list = {0, 1};
  job.trials = 16;
  const Space space(job);
  for (std::int64_t number = 0; number < 16; ++number) {
    const TrialPoint trial = space.trial(number);
    CHECK(trial.index == number);
    CHECK(trial.point.at(kFoldAxis) == number % 2);
    CHECK(trial.point.at("/optim/lr") == plain.trial(number / 2).point.at("/optim/lr"));
  }
  job.axes[kFoldAxis] = {};
  job.axes[kFoldAxis].integer = {0, 4};
  CHECK_THROWS_WITH(Space(job), Catch::Contains("give the folds as a list"));
}

TEST_CASE("points for the comparison with SciPy are written", "[.interop]") {
  const char* folder = std::getenv("REGATTA_INTEROP_FOLDER");
  REQUIRE(folder != nullptr);
  const SobolSequence sequence(SobolSequence::kMostDimensions);
  Json points = Json::array();
  for (std::uint32_t i = 0; i < 1024; ++i) {
    Json point = Json::array();
    for (std::size_t d = 0; d < SobolSequence::kMostDimensions; ++d) {
      point.push_back(sequence.at(i, d));
    }
    points.push_back(point);
  }
  write_file_atomically(std::filesystem::path(folder) / "sobol.json", dump_line(points));
}
