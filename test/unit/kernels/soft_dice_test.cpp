#include "regatta/kernels/soft_dice.hpp"

#include <cmath>
#include <random>
#include <vector>

#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

std::vector<std::uint8_t> random_labels(std::size_t count, std::uint64_t seed, unsigned labels) {
  std::mt19937_64 engine(seed);
  std::vector<std::uint8_t> out(count);
  for (std::uint8_t& label : out) {
    label = static_cast<std::uint8_t>(engine() % labels);
  }
  return out;
}

}  // namespace

TEST_CASE("soft dice of a map moved by half a voxel, worked out by hand") {
  const std::vector<std::uint8_t> fixed = {1, 1, 2, 3};
  const std::vector<std::uint8_t> moving = {1, 1, 2, 2};
  std::vector<float> flow(12, 0.0F);
  flow[9] = 0.5F;  // between the voxels of labels 1 and 2
  SoftDice work = {fixed.data(), moving.data(), flow.data(), {1, 1, 1, 4}, 4};
  work.background = false;
  // Memberships: label 1: 1, .5, 0, 0; label 2: 0, .5, 1, 1; label 3 nowhere.
  const double floor = kDiceFloor;
  const double one = 2.0 * 1.5 / (1.25 + 2.0 + floor);
  const double two = 2.0 / (2.25 + 1.0 + floor);
  std::vector<double> gradient;
  CHECK(soft_dice_reference(work, &gradient) == Approx(1.0 - (one + two) / 3.0));
  // Further along W label 1 falls and label 2 rises: membership .5 each, the fixed voxel has label 1.
  const double of_one = (2.0 - one) / (1.25 + 2.0 + floor);
  const double of_two = -two / (2.25 + 1.0 + floor);
  CHECK(gradient[9] == Approx(-(of_two - of_one) / 3.0));
  work.form = DiceSize::kSums;
  CHECK(soft_dice_reference(work, nullptr) == Approx(1.0 - (3.0 / 3.5 + 2.0 / 3.5) / 3.0));
  work.background = true;  // in neither map: Dice 0
  CHECK(soft_dice_reference(work, nullptr) == Approx(1.0 - (3.0 / 3.5 + 2.0 / 3.5) / 4.0));
}

TEST_CASE("beyond the border there is no label, and values beyond the labels are none") {
  const std::vector<std::uint8_t> fixed = {0, 0, 7};
  const std::vector<std::uint8_t> moving = {0, 7, 0};
  std::vector<float> flow(9, 0.0F);
  flow[6] = -0.25F;
  const SoftDice work = {fixed.data(), moving.data(), flow.data(), {1, 1, 1, 3}, 1};
  CHECK(soft_dice_reference(work, nullptr) == Approx(1.0 - 1.5 / (0.5625 + 1.0 + 2.0 + kDiceFloor)));
}

TEST_CASE("the gradient of soft dice is that of finite differences") {
  constexpr VolumeSize kSize = {2, 4, 5, 6};
  const auto count = static_cast<std::size_t>(kSize.all());
  const auto fixed = random_labels(count, 1, 4);
  const auto moving = random_labels(count, 2, 5);
  std::vector<float> flow(3 * count);
  std::mt19937_64 engine(3);
  std::uniform_real_distribution<float> draw(-1.5F, 1.5F);
  for (float& u : flow) {
    u = draw(engine);
  }
  for (const DiceSize form : {DiceSize::kSquares, DiceSize::kSums}) {
    SoftDice work = {fixed.data(), moving.data(), flow.data(), kSize, 5};
    work.form = form;
    work.background = form == DiceSize::kSums;
    std::vector<double> gradient;
    soft_dice_reference(work, &gradient);
    for (std::size_t i = 0; i < flow.size(); i += 7) {
      const float kept = flow[i];
      flow[i] = kept + 0x1p-12F;
      const double above = soft_dice_reference(work, nullptr);
      flow[i] = kept - 0x1p-12F;
      const double below = soft_dice_reference(work, nullptr);
      flow[i] = kept;
      CHECK(gradient[i] == Approx((above - below) / 0x1p-11).epsilon(1e-5).margin(1e-9));
    }
  }
}

}  // namespace regatta::kernels
