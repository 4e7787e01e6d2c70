// Metrics against the numbers of Learn2Reg's evaluation code and hand-made cases.
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <nlohmann/json.hpp>

#include "nn/ops/jacobian.hpp"
#include "nn/ops/label_overlap.hpp"
#include "regatta/base/error.hpp"
#include "regatta/kernels/jacobian.hpp"
#include "regatta/kernels/label_overlap.hpp"
#include "regatta/nn/metric.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"
#include "support/golden_pair.hpp"

namespace regatta::test {
TEST_CASE("dice gives the numbers of Learn2Reg's code") {
  const Measured dice = measure("dice", golden_pair(1.0));
  CHECK(dice.front().first == "dice");
  CHECK(named(dice, "dice") == Approx(0.5994125).epsilon(1e-6));
  CHECK(named(dice, "dice/1") == Approx(0.7064136).epsilon(1e-6));
  CHECK(named(dice, "dice/2") == Approx(0.4924115).epsilon(1e-6));
  CHECK(std::isnan(named(dice, "dice/3")));
  CHECK(dice.size() == 4);
  const Measured folded = measure("dice", golden_pair(3.0));
  CHECK(named(folded, "dice/1") == Approx(0.5610890).epsilon(1e-6));
  CHECK(named(folded, "dice/2") == Approx(0.0158983).epsilon(1e-5));
}

TEST_CASE("dice of the kernels' counts is dice of warped labels") {
  for (const double size : {1.0, 3.0}) {
    const PairState pair = golden_pair(size);
    const auto list = [](const at::Tensor& tensor, auto type) {
      const at::Tensor flat = tensor.contiguous();
      const auto* first = flat.template const_data_ptr<decltype(type)>();
      return std::vector<decltype(type)>(first, first + flat.numel());
    };
    const at::Tensor flow = pair.flow.to(at::kFloat);
    const kernels::VolumeSize grid = {1, flow.size(2), flow.size(3), flow.size(4)};
    std::vector<std::int64_t> counts = kernels::label_counts_reference(
        list(pair.fixed_labels, std::uint8_t{}), list(pair.moving_labels, std::uint8_t{}), list(flow, float{}), grid,
        kernels::LabelWarp::kNearest);
    const at::Tensor rows = at::from_blob(counts.data(), {kernels::kLabelRows, kernels::kLabelValues}, at::kLong);
    const Measured of_counts = overlap_of_counts("dice", pair, rows);
    const Measured dice = measure("dice", pair);
    REQUIRE(of_counts.size() == dice.size());
    for (std::size_t i = 0; i < dice.size(); ++i) {
      CHECK(of_counts[i].first == dice[i].first);
      CHECK((of_counts[i].second == dice[i].second || std::isnan(dice[i].second)));
    }
  }
}

TEST_CASE("dice leaves out a label that one of the unwarped volumes lacks, and counts one that was warped away") {
  PairState pair;
  pair.flow = at::zeros({1, 3, 4, 4, 4}, at::TensorOptions().dtype(at::kFloat));
  pair.fixed_labels = at::zeros({1, 1, 4, 4, 4}, at::TensorOptions().dtype(at::kByte));
  pair.moving_labels = pair.fixed_labels.clone();
  pair.fixed_labels[0][0][0][0][0] = 1;
  pair.fixed_labels[0][0][0][0][1] = 1;
  pair.moving_labels[0][0][0][0][0] = 1;
  pair.fixed_labels[0][0][1] = 255;
  const Measured open = measure("dice", pair);  // number of labels unknown
  CHECK(named(open, "dice") == Approx(2.0 / 3.0));
  CHECK(std::isnan(named(open, "dice/255")));
  CHECK(open.size() == 3);
  pair.flow.fill_(10.0);
  CHECK(named(measure("dice", pair), "dice") == 0.0);
}

TEST_CASE("folding gives the golden percentage") {
  CHECK(named(measure("folding", golden_pair(3.0)), "folding") == Approx(39.19626).epsilon(1e-4));
  PairState flat = golden_pair(0.0);
  CHECK(named(measure("folding", flat), "folding") == 0.0);
  flat.flow.fill_(std::nan(""));
  CHECK(named(measure("folding", flat), "folding") == 100.0);
}

TEST_CASE("sdlogj gives Learn2Reg's number as a detail, and grows with folding in the plain form") {
  const Measured mild = measure("sdlogj", golden_pair(1.0));
  CHECK(mild.front().first == "sdlogj");
  CHECK(named(mild, "sdlogj/l2r") == Approx(0.1537357).epsilon(1e-5));
  const Measured folded = measure("sdlogj", golden_pair(3.0));
  CHECK(named(folded, "sdlogj/l2r") == Approx(0.8440607).epsilon(1e-5));
  CHECK(named(folded, "sdlogj") > 5.0 * named(mild, "sdlogj"));
  CHECK(named(measure("sdlogj", golden_pair(0.0)), "sdlogj") == 0.0);
}

TEST_CASE("the Jacobian determinant has the golden range and share of folds") {
  const at::Tensor mild = without_border(jacobian_determinant(golden_field(1.0)), 2);
  CHECK(mild.min().item<double>() == Approx(0.0324987).epsilon(1e-4));
  CHECK(mild.max().item<double>() == Approx(2.9351589).epsilon(1e-5));
  const at::Tensor folded = without_border(jacobian_determinant(golden_field(3.0)), 2);
  const double share = folded.le(0.0).sum().item<double>() / static_cast<double>(folded.numel());
  CHECK(share == Approx(0.3943024).epsilon(1e-4));
}

TEST_CASE("the Jacobian determinant of a linear map is its determinant everywhere, borders included") {
  at::Tensor flow = at::zeros({1, 3, 3, 4, 2}, at::TensorOptions().dtype(at::kDouble));
  const double map[3][3] = {{0.2, 0.1, -0.3}, {0.05, -0.4, 0.2}, {0.3, 0.1, 0.5}};
  for (std::int64_t n = 0; n < 24; ++n) {
    const double p[3] = {static_cast<double>(n / 8), static_cast<double>(n / 2 % 4), static_cast<double>(n % 2)};
    for (std::int64_t c = 0; c < 3; ++c) {
      flow[0][c][n / 8][n / 2 % 4][n % 2] = map[c][0] * p[0] + map[c][1] * p[1] + map[c][2] * p[2];
    }
  }
  const double a[3][3] = {{1.2, 0.1, -0.3}, {0.05, 0.6, 0.2}, {0.3, 0.1, 1.5}};
  const double expected = a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1]) -
                          a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0]) +
                          a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0]);
  const at::Tensor determinant = jacobian_determinant(flow);
  CHECK((determinant - expected).abs().max().item<double>() < 1e-12);
}

TEST_CASE("image metrics give the golden numbers with the sign that their direction says") {
  PairState pair;
  pair.fixed = golden_image(64, 96, 64, 1.0);
  pair.warped = golden_image(64, 96, 64, 0.0);
  CHECK(named(measure("ncc", pair), "ncc") == Approx(0.5578020).epsilon(1e-4));
  CHECK(named(measure("mse", pair), "mse") == Approx(0.1149247).epsilon(1e-4));
  CHECK(find_metric("ncc").direction == Direction::kHigherIsBetter);
  CHECK(find_metric("mse").direction == Direction::kLowerIsBetter);
  CHECK(std::string_view(find_metric("dice").needs) == "labels");
}

TEST_CASE("a metric whose inputs are absent is NaN, and broken ones are refused") {
  for (const MetricRow& row : metric_rows()) {
    INFO(row.name);
    const Measured measured = row.make()->measure(PairState{});
    CHECK(measured.front().first == row.name);
    CHECK(std::isnan(measured.front().second));
  }
  PairState pair = golden_pair(1.0);
  pair.fixed_labels = pair.fixed_labels.narrow(2, 0, 8);
  CHECK_THROWS_AS(measure("dice", pair), DataError);
  CHECK_THROWS_WITH(
      find_metric("dise"),
      Catch::Contains("have: dice, dice_linear, folding, hd95, memory, mse, ncc, ndv, runtime, sdlogj, tre"));
}

/// Gives numbers as if they lay on a device.
class Counted final : public Metric {
 public:
  Counted(std::string name, std::string numbers, std::int64_t which, int& queued)
      : name_(std::move(name)), numbers_(std::move(numbers)), which_(which), queued_(queued) {}

  Measured measure(const PairState&) const override { return {{name_, -1.0}}; }

  std::optional<PendingNumbers> pending(const PairState&) const override {
    if (numbers_.empty()) {
      return std::nullopt;
    }
    return PendingNumbers{numbers_,
                          [this] {
                            ++queued_;
                            return at::arange(3, at::kLong) + (numbers_ == "a" ? 10 : 20);
                          },
                          [this](const at::Tensor& numbers) {
                            return Measured{{name_, numbers.const_data_ptr<double>()[which_]}};
                          }};
  }

 private:
  std::string name_;
  std::string numbers_;
  std::int64_t which_;
  int& queued_;
};

TEST_CASE("metrics of a pair share pending numbers of one name, and keep their order") {
  int queued = 0;
  const Counted first("first", "a", 2, queued);
  const Counted second("second", "", 0, queued);
  const Counted third("third", "b", 0, queued);
  const Counted fourth("fourth", "a", 1, queued);
  const std::vector<Measured> all = measure_all({&first, &second, &third, &fourth}, PairState{});
  REQUIRE(all.size() == 4);
  CHECK(queued == 2);
  CHECK(all[0] == Measured{{"first", 12.0}});
  CHECK(all[1] == Measured{{"second", -1.0}});
  CHECK(all[2] == Measured{{"third", 20.0}});
  CHECK(all[3] == Measured{{"fourth", 11.0}});
  CHECK(measure_pending(*first.pending(PairState{})) == Measured{{"first", 12.0}});
  CHECK(measure_all({&second}, PairState{}).front() == Measured{{"second", -1.0}});
}

TEST_CASE("the kernels' references of labels and Jacobians give what the metrics measure") {
  for (const double size : {1.0, 3.0}) {
    const PairState pair = golden_pair(size);
    const at::Tensor flow = pair.flow.to(at::kFloat).contiguous();
    const kernels::VolumeSize grid = {1, flow.size(2), flow.size(3), flow.size(4)};
    const std::vector<float> field(flow.const_data_ptr<float>(), flow.const_data_ptr<float>() + flow.numel());
    const auto labels = [](const at::Tensor& map) {
      const at::Tensor flat = map.contiguous();
      const auto* first = flat.const_data_ptr<std::uint8_t>();
      return std::vector<std::uint8_t>(first, first + flat.numel());
    };
    std::vector<std::int64_t> counts = kernels::label_counts_reference(
        labels(pair.fixed_labels), labels(pair.moving_labels), field, grid, kernels::LabelWarp::kLargestWeight);
    const at::Tensor rows = at::from_blob(counts.data(), {kernels::kLabelRows, kernels::kLabelValues}, at::kLong);
    const Measured of_counts =
        overlap_of_counts("dice_linear", pair, rows, {.smoothing = 1e-5, .absent = AbsentLabel::kWorst});
    const Measured linear = measure("dice_linear", pair);
    for (std::size_t i = 0; i < of_counts.size(); ++i) {
      CHECK(of_counts[i].second == Approx(linear[i].second).margin(1e-4));
    }
    PairState plain = pair;
    plain.flow = flow;
    const auto sums = kernels::jacobian_sums_reference(field, {}, grid, {});
    CHECK(100.0 * sums[0] / static_cast<double>(grid.all()) == named(measure("folding", plain), "folding"));
    const double variance = sums[3] / sums[1] - sums[2] / sums[1] * (sums[2] / sums[1]);
    CHECK(std::sqrt(variance) == Approx(named(measure("sdlogj", plain), "sdlogj")).epsilon(1e-10));
    const double shifted = sums[5] / sums[1] - sums[4] / sums[1] * (sums[4] / sums[1]);
    CHECK(std::sqrt(shifted) == Approx(named(measure("sdlogj", plain), "sdlogj/l2r")).epsilon(1e-10));
  }
}

}  // namespace regatta::test
