// Fronts and hypervolumes; expected values by hand or by counting cells.
#include "regatta/report/pareto.hpp"

#include "regatta/base/random.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

/// Points with whole coordinates 0..9, made by code.
std::vector<Losses> whole_points(std::size_t count, std::size_t objectives, std::uint64_t seed) {
  const CounterRng random(seed, RandomPurpose::kSynthetic);
  std::vector<Losses> points;
  for (std::size_t i = 0; i < count; ++i) {
    Losses point;
    for (std::size_t k = 0; k < objectives; ++k) {
      point.push_back(static_cast<double>(random.below(10, i, static_cast<std::uint32_t>(k))));
    }
    points.push_back(point);
  }
  return points;
}

/// Number of unit cells of the reference's box that some point dominates.
double counted_volume(const std::vector<Losses>& points, std::size_t objectives, int reference) {
  int cells = 1;
  for (std::size_t k = 0; k < objectives; ++k) {
    cells *= reference;
  }
  int dominated = 0;
  for (int cell = 0; cell < cells; ++cell) {
    dominated += std::any_of(points.begin(), points.end(),
                             [&](const Losses& point) {
                               int rest = cell;
                               for (const double value : point) {
                                 if (value > rest % reference) {
                                   return false;
                                 }
                                 rest /= reference;
                               }
                               return true;
                             })
                     ? 1
                     : 0;
  }
  return dominated;
}

}  // namespace

TEST_CASE("a front holds what nothing dominates, the next what only it dominates") {
  CHECK(fronts_of({{1, 5}, {2, 2}, {5, 1}, {3, 3}, {6, 6}, {2, 2}}) == std::vector<int>{1, 1, 1, 2, 3, 1});
  CHECK(fronts_of({}).empty());
  CHECK(dominates({1, 1}, {1, 2}));
  CHECK_FALSE(dominates({1, 1}, {1, 1}));
  CHECK_FALSE(dominates({0, 3}, {1, 2}));
}

TEST_CASE("the hypervolume counts what the points dominate, up to the reference") {
  CHECK(hypervolume({{1, 5}, {2, 2}, {5, 1}}, {6, 6}) == 18.0);  // 16 cells of the second, one each of the others
  CHECK(hypervolume({{7, 0}, {0, 6}}, {6, 6}) == 0.0);
  CHECK(hypervolume({}, {1, 1}) == 0.0);
  CHECK(hypervolume({{2.0}, {3.0}}, {5.0}) == 3.0);
  for (const std::size_t objectives : {2U, 3U, 4U}) {
    const std::vector<Losses> points = whole_points(25, objectives, objectives);
    CHECK(hypervolume(points, Losses(objectives, 8.0)) == counted_volume(points, objectives, 8));
  }
}

TEST_CASE("a contribution is what the hypervolume loses without the point") {
  for (const std::size_t objectives : {2U, 3U}) {
    std::vector<Losses> points = whole_points(12, objectives, 40 + objectives);
    points.push_back(points.front());
    const Losses reference(objectives, 9.0);
    const std::vector<double> contributions = hypervolume_contributions(points, reference);
    for (std::size_t i = 0; i < points.size(); ++i) {
      std::vector<Losses> others = points;
      others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
      CHECK(contributions[i] == hypervolume(points, reference) - hypervolume(others, reference));
    }
    CHECK(contributions.back() == 0.0);
  }
}

}  // namespace regatta::test
