// The metrics of published comparisons against the numbers of their evaluation code (models.md, section 10.3) and
// hand-made cases.
#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "nn/ops/label_overlap.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/warp.hpp"
#include "support/catch.hpp"
#include "support/golden_pair.hpp"

namespace regatta::test {
namespace {

at::Tensor points(std::initializer_list<double> values) {
  return at::tensor(std::vector<double>(values), at::TensorOptions().dtype(at::kFloat)).view({-1, 3});
}

/// Blocks of labels 0 to 4 that fill a volume up to its borders.
at::Tensor blocks(std::int64_t D, std::int64_t H, std::int64_t W) {
  at::Tensor labels = at::zeros({1, 1, D, H, W}, at::TensorOptions().dtype(at::kByte));
  auto* value = labels.data_ptr<std::uint8_t>();
  for (std::int64_t n = 0; n < D * H * W; ++n) {
    value[n] = static_cast<std::uint8_t>((n / (H * W) / 8 + 2 * (n / W % H / 12) + 3 * (n % W / 11)) % 5);
  }
  return labels;
}

/// The golden field with blocks in both maps.
PairState block_pair() {
  PairState pair;
  pair.flow = golden_field(1.0);
  pair.fixed_labels = blocks(40, 48, 44);
  pair.moving_labels = pair.fixed_labels;
  return pair;
}

/// The golden field with the golden key-points.
PairState keypoint_pair() {
  PairState pair;
  pair.flow = golden_field(1.0);
  pair.fixed_keypoints = points({10.2, 20.7, 30.1, 5.5, 40.25, 12.75, 33.3, 7.9, 21.4});
  pair.moving_keypoints = pair.fixed_keypoints + points({1.0, -2.0, 0.5});
  pair.moving_axes_mm = axes_of_spacing({1.5, 1.25, 2.0});
  return pair;
}

}  // namespace

TEST_CASE("hd95 is the same by any number of threads") {
  PairState pair = golden_pair(3.0);
  const at::Tensor index = at::arange(pair.fixed_labels.numel(), at::kLong).view(pair.fixed_labels.sizes());
  pair.fixed_labels = index.floor_divide(6000).add(1).to(at::kByte);
  pair.moving_labels = pair.fixed_labels.flip({4}).contiguous();
  pair.label_count = 0;  // those that occur
  const int before = at::get_num_threads();
  set_cpu_threads(1);
  const Measured alone = measure("hd95", pair);
  set_cpu_threads(5);
  const Measured together = measure("hd95", pair);
  set_cpu_threads(before);
  REQUIRE(alone.size() > 10);
  REQUIRE(together.size() == alone.size());
  for (std::size_t i = 0; i < alone.size(); ++i) {
    INFO(alone[i].first);
    CHECK(together[i] == alone[i]);
  }
}

TEST_CASE("hd95 gives the numbers of Learn2Reg's code") {
  const Measured mild = measure("hd95", golden_pair(1.0));
  CHECK(mild.front().first == "hd95");
  CHECK(named(mild, "hd95/1") == Approx(4.1231056).epsilon(1e-7));
  CHECK(named(mild, "hd95/2") == Approx(3.0).epsilon(1e-7));
  CHECK(named(mild, "hd95") == Approx(3.5615528).epsilon(1e-7));
  CHECK(std::isnan(named(mild, "hd95/3")));
  const Measured folded = measure("hd95", golden_pair(3.0));
  CHECK(named(folded, "hd95/1") == Approx(7.2801099).epsilon(1e-7));
  CHECK(named(folded, "hd95/2") == Approx(7.3484692).epsilon(1e-7));
}

TEST_CASE("hd95 is 0 for equal labels and infinite for a label that was warped away") {
  PairState pair = golden_pair(0.0);
  pair.moving_labels = pair.fixed_labels;
  pair.label_count = 0;
  const Measured same = measure("hd95", pair);
  CHECK(same.size() == 3);
  CHECK(named(same, "hd95") == 0.0);
  pair.flow.fill_(100.0);
  CHECK(std::isinf(named(measure("hd95", pair), "hd95/1")));
}

TEST_CASE("tre gives the numbers of Learn2Reg's code") {
  const Measured tre = measure("tre", keypoint_pair());
  CHECK(tre.size() == 4);
  CHECK(named(tre, "tre/0") == Approx(3.9563483).epsilon(1e-6));
  CHECK(named(tre, "tre/1") == Approx(5.7097645).epsilon(1e-6));
  CHECK(named(tre, "tre/2") == Approx(5.7497050).epsilon(1e-6));
  CHECK(named(tre, "tre") == Approx((3.9563483 + 5.7097645 + 5.7497050) / 3).epsilon(1e-6));
}

TEST_CASE("tre of a zero field is the distance of the key-points in millimetres, outside the grid too") {
  PairState pair = keypoint_pair();
  pair.flow = at::zeros_like(pair.flow);
  pair.fixed_keypoints[0][2] = 100.0;
  pair.moving_keypoints[0][2] = 100.5;
  const double distance = std::sqrt(1.5 * 1.5 + 2.5 * 2.5 + 1.0);
  CHECK(named(measure("tre", pair), "tre/0") == Approx(distance).epsilon(1e-6));
  CHECK(named(measure("tre", pair), "tre") == Approx(distance).epsilon(1e-6));
}

TEST_CASE("tre refuses lists of key-points that do not match, and is NaN for empty ones") {
  PairState pair = keypoint_pair();
  pair.moving_keypoints = pair.moving_keypoints.narrow(0, 0, 2);
  CHECK_THROWS_WITH(measure("tre", pair), Catch::Contains("key-points [3, 3] fixed and [2, 3] moving"));
  pair.fixed_keypoints = pair.fixed_keypoints.narrow(0, 0, 0);
  pair.moving_keypoints = pair.fixed_keypoints;
  CHECK(std::isnan(named(measure("tre", pair), "tre")));
}

TEST_CASE("ndv gives the golden percentage, 0 for a field that does not fold") {
  CHECK(named(measure("ndv", golden_pair(3.0)), "ndv") == Approx(41.431605).epsilon(1e-7));
  CHECK(named(measure("ndv", golden_pair(3.0)), "ndv/nondiffeomorphic") == Approx(39.3034216).epsilon(1e-6));
  CHECK(named(measure("ndv", golden_pair(1.0)), "ndv") == 0.0);
  CHECK(named(measure("ndv", golden_pair(0.0)), "ndv/nondiffeomorphic") == 0.0);
}

TEST_CASE("ndv of a mirrored volume is the whole volume") {
  PairState pair = golden_pair(0.0);
  for (std::int64_t d = 0; d < 40; ++d) {
    pair.flow[0][0][d] = -2.0 * static_cast<double>(d);  // d -> -d: every tetrahedron turned inside out
  }
  CHECK(named(measure("ndv", pair), "ndv") == Approx(100.0));
  CHECK(named(measure("ndv", pair), "ndv/nondiffeomorphic") == 100.0);
}

TEST_CASE("ndv and sdlogj look only where the fixed mask is") {
  PairState pair = golden_pair(3.0);
  pair.fixed_mask = at::zeros({1, 1, 40, 48, 44}, at::TensorOptions().dtype(at::kByte));
  CHECK(std::isnan(named(measure("ndv", pair), "ndv")));
  CHECK(std::isnan(named(measure("sdlogj", pair), "sdlogj")));
  pair.fixed_mask.narrow(2, 0, 20).fill_(1);
  PairState half = pair;  // the same, the rest of the field flat: what lies outside the mask must not matter
  half.flow = pair.flow.clone();
  half.flow.narrow(2, 22, 18).fill_(std::nan(""));
  for (const char* name : {"ndv", "sdlogj"}) {
    const double masked = named(measure(name, pair), name);
    CHECK(masked == named(measure(name, half), name));
    CHECK(std::abs(masked - named(measure(name, golden_pair(3.0)), name)) > 1e-3);
    PairState whole = pair;
    whole.fixed_mask = at::zeros_like(pair.fixed_mask).fill_(3);
    CHECK(named(measure(name, whole), name) == Approx(named(measure(name, golden_pair(3.0)), name)).epsilon(1e-12));
  }
  pair.fixed_mask = pair.fixed_mask.narrow(2, 0, 30);
  CHECK_THROWS_WITH(measure("ndv", pair), Catch::Contains("ndv: mask [1, 1, 30, 48, 44]"));
}

TEST_CASE("tre is as long as the moving scan's axes are, sheared ones too") {
  PairState pair = keypoint_pair();
  pair.flow = at::zeros_like(pair.flow);
  pair.moving_axes_mm = {1.5, 0.3, 0, 0, 1.25, -0.2, 0, 0, 2.0};
  const double along[3] = {1.5 * -1.0 + 0.3 * 2.0, 1.25 * 2.0 + 0.2 * 0.5, 2.0 * -0.5};  // of the error (-1, 2, -.5)
  const double distance = std::sqrt(along[0] * along[0] + along[1] * along[1] + along[2] * along[2]);
  CHECK(named(measure("tre", pair), "tre/0") == Approx(distance).epsilon(1e-6));
}

TEST_CASE("the other side of a pair is measured in its own moving scan's millimetres") {
  PairState pair = keypoint_pair();
  pair.fixed_axes_mm = axes_of_spacing({3.0, 2.5, 4.0});
  ModelOutput output;
  output.flow = pair.flow;
  output.inverse_flow = at::zeros_like(pair.flow);
  const double distance = std::sqrt(1.5 * 1.5 + 2.5 * 2.5 + 1.0);
  CHECK(named(measure("tre", with_output(pair, output, Side::kBackward)), "tre") == Approx(2 * distance).epsilon(1e-6));
}

TEST_CASE("dice is SciPy's at the border: a point beyond the outer voxels' centres takes no label") {
  // map_coordinates(labels, identity + u, order=0), and 2 |A and B| / (|A| + |B|)
  const double scipy[] = {0.62135475, 0.68810531, 0.70312732, 0.70154864, 0.67824186};
  PairState pair = block_pair();
  const Measured dice = measure("dice", pair);
  CHECK(dice.size() == 5);
  for (int label = 1; label < 5; ++label) {
    CHECK(named(dice, str("dice/", label)) == Approx(scipy[label]).epsilon(1e-7));
  }
  CHECK(named(dice, "dice") == Approx(0.692755783).epsilon(1e-8));
  pair.reading.measured = {0, 1, 2, 3, 4};  // LUMIR's list has the background
  const Measured all = measure("dice", pair);
  CHECK(named(all, "dice/0") == Approx(scipy[0]).epsilon(1e-7));
  CHECK(named(all, "dice") == Approx(0.678475577).epsilon(1e-8));
  pair.reading = {};
  pair.reading.edge = LabelEdge::kHalfVoxel;  // ITK's reading is an option
  CHECK(named(measure("dice", pair), "dice") == Approx(0.709658941).epsilon(1e-8));
}

TEST_CASE("moving labels on a grid of their own are measured, as SciPy reads them") {
  PairState pair = block_pair();
  pair.moving_labels = blocks(33, 50, 60);
  const Measured dice = measure("dice", pair);
  CHECK(named(dice, "dice") == Approx(0.608010211).epsilon(1e-8));
  CHECK(named(dice, "dice/4") == Approx(0.55686982).epsilon(1e-7));
  CHECK(std::isfinite(named(measure("hd95", pair), "hd95")));
  PairState wide = pair;  // the same in int16, as label values above 255 need it
  wide.fixed_labels = pair.fixed_labels.to(at::kShort).mul(1000);
  wide.moving_labels = pair.moving_labels.to(at::kShort).mul(1000);
  for (const char* metric : {"dice", "dice_linear", "hd95"}) {
    INFO(metric);
    CHECK(named(measure(metric, wide), metric) == named(measure(metric, pair), metric));
    CHECK(named(measure(metric, wide), str(metric, "/4000")) == named(measure(metric, pair), str(metric, "/4")));
  }
}

TEST_CASE("where the moving grid is another one, labels follow the field that leads to it") {
  PairState pair = block_pair();
  const double dice = named(measure("dice", pair), "dice");
  pair.moving_flow = pair.flow;
  pair.flow = at::zeros_like(pair.flow);
  CHECK(named(measure("dice", pair), "dice") == dice);
  CHECK(named(measure("ndv", pair), "ndv") == 0.0);  // the field itself is the fixed grid's
}

TEST_CASE("labels go by the values that they stand for") {
  PairState pair = golden_pair(1.0);
  pair.label_count = 0;
  pair.reading.values = {0, 17, 2035};
  const Measured dice = measure("dice", pair);
  CHECK(dice[1].first == "dice/17");
  CHECK(dice[2].first == "dice/2035");
  CHECK(dice[2].second == Approx(0.4924115).epsilon(1e-6));
  CHECK(named(measure("hd95", pair), "hd95/2035") == Approx(3.0));
}

TEST_CASE("a label that one map lacks is left out of Learn2Reg's Dice and counts 0 in the IXI protocol") {
  PairState pair = golden_pair(1.0);
  pair.moving_labels = pair.moving_labels.masked_fill(pair.moving_labels.eq(2), 0);
  pair.label_count = 0;
  const double one = named(measure("dice_linear", pair), "dice_linear/1");
  CHECK(named(measure("dice_linear", pair), "dice_linear/2") == 0.0);
  CHECK(named(measure("dice_linear", pair), "dice_linear") == Approx(one / 2));
  CHECK(std::isnan(named(measure("dice", pair), "dice/2")));
  CHECK(named(measure("dice", pair), "dice") == named(measure("dice", pair), "dice/1"));
  pair.reading.measured = {1, 2, 3};  // 3 is in neither map
  CHECK(named(measure("dice_linear", pair), "dice_linear") == Approx(one / 3));
  pair.reading.absent = AbsentLabel::kLeftOut;
  CHECK(named(measure("dice_linear", pair), "dice_linear") == Approx(one));
  CHECK(std::isnan(named(measure("dice_linear", pair), "dice_linear/2")));
  pair.reading.absent = AbsentLabel::kWorst;
  CHECK(named(measure("dice", pair), "dice/2") == 0.0);
  CHECK(std::isinf(named(measure("hd95", pair), "hd95")));
}

TEST_CASE("dice_linear equals warping the whole one-hot volume at once") {
  const PairState pair = golden_pair(1.0);
  std::vector<at::Tensor> channels;
  for (int label = 0; label < 4; ++label) {
    channels.push_back(pair.moving_labels.eq(label).to(at::kFloat));
  }
  const at::Tensor winner = at::argmax(warp(at::cat(channels, 1), pair.flow), 1, true).to(at::kByte);
  const Measured linear = measure("dice_linear", pair);
  CHECK(linear.front().first == "dice_linear");
  for (const int label : {1, 2}) {
    const at::Tensor a = pair.fixed_labels.eq(label);
    const at::Tensor b = winner.eq(label);
    const double both = a.logical_and(b).sum().item<double>();
    const double dice = 2.0 * both / (a.sum().item<double>() + b.sum().item<double>() + 1e-5);
    CHECK(named(linear, str("dice_linear/", label)) == Approx(dice).epsilon(1e-12));
    CHECK(std::abs(dice - named(measure("dice", pair), str("dice/", label))) > 1e-4);  // it is another protocol
  }
  CHECK(named(linear, "dice_linear/3") == 0.0);  // of the data set, but in neither map
}

TEST_CASE("dice_linear gives half-way voxels to the lower label and points outside to the background") {
  PairState pair;
  pair.flow = at::zeros({1, 3, 5, 5, 5}, at::TensorOptions().dtype(at::kFloat));
  pair.flow.select(1, 0).fill_(0.5);  // weights of one half each, exactly at this size
  pair.fixed_labels = at::zeros({1, 1, 5, 5, 5}, at::TensorOptions().dtype(at::kByte));
  pair.moving_labels = pair.fixed_labels.clone();
  const std::vector<std::int64_t> moving = {5, 2, 0, 0, 2};
  const std::vector<std::int64_t> fixed = {2, 0, 0, 5, 0};
  for (std::int64_t d = 0; d < 5; ++d) {
    pair.moving_labels.select(2, d).fill_(moving[static_cast<std::size_t>(d)]);
    pair.fixed_labels.select(2, d).fill_(fixed[static_cast<std::size_t>(d)]);
  }
  const Measured dice = measure("dice_linear", pair);
  // warped: 2 (of 5 | 2), 0 (of 2 | 0), 0, 0 (of 0 | 2), 2 (of 2 | outside)
  CHECK(named(dice, "dice_linear/2") == Approx(2.0 * 25 / (25 + 50 + 1e-5)).epsilon(1e-12));
  CHECK(named(dice, "dice_linear/5") == 0.0);
}

TEST_CASE("runtime and memory are what was measured") {
  PairState pair;
  CHECK(std::isnan(named(measure("runtime", pair), "runtime")));
  pair.network_s = 0.25;
  pair.peak_bytes = 3e9;
  CHECK(named(measure("runtime", pair), "runtime") == 0.25);
  CHECK(named(measure("memory", pair), "memory") == 3e9);
}

}  // namespace regatta::test
