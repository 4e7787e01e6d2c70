#include <algorithm>

#include "kernels/dice_sums.hpp"
#include "kernels/trilinear_reference.hpp"
#include "regatta/kernels/soft_dice.hpp"

namespace regatta::kernels {
namespace {

/// One label of one volume.
class LabelDice {
 public:
  LabelDice(const SoftDice& work, std::int64_t volume, int label)
      : work_(work),
        voxels_(work.size.voxels()),
        fixed_(work.fixed + volume * voxels_),
        moving_(work.moving + volume * voxels_),
        flow_(work.flow + 3 * volume * voxels_),
        label_(label) {
    double common = 0.0;
    double of_fixed = 0.0;
    double of_moving = 0.0;
    for (std::int64_t i = 0; i < voxels_; ++i) {
      const double inside = membership_of(i);
      membership_.push_back(inside);
      common += is_fixed(i) ? inside : 0.0;
      of_fixed += is_fixed(i) ? 1.0 : 0.0;
      of_moving += work.form == DiceSize::kSquares ? inside * inside : inside;
    }
    const double sum = of_fixed + of_moving;
    size_ = work.form == DiceSize::kSquares ? sum + kDiceFloor : std::max(sum, kDiceFloor);
    shrinks_ = work.form == DiceSize::kSquares || sum > kDiceFloor;
    dice_ = 2.0 * common / size_;
  }

  double dice() const { return dice_; }

  /// Adds factor x the derivative. @param to  [3, d, h, w]
  void add_gradient(double factor, double* to) const {
    for (std::int64_t i = 0; i < voxels_; ++i) {
      const double of_size = !shrinks_                          ? 0.0
                             : work_.form == DiceSize::kSquares ? 2.0 * membership_[static_cast<std::size_t>(i)]
                                                                : 1.0;
      const double slope = factor * ((is_fixed(i) ? 2.0 : 0.0) - dice_ * of_size) / size_;
      visit(i, [&](const Corner& corner) {
        for (std::int64_t c = 0; c < 3; ++c) {
          to[c * voxels_ + i] += slope * corner.changes[static_cast<std::size_t>(c)];
        }
      });
    }
  }

 private:
  bool is_fixed(std::int64_t i) const { return fixed_[i] == label_; }

  double membership_of(std::int64_t i) const {
    double sum = 0.0;
    visit(i, [&](const Corner& corner) { sum += corner.weight; });
    return sum;
  }

  template <class Visit>
  void visit(std::int64_t i, Visit visit_label) const {
    visit_corners(i, {flow_[i], flow_[voxels_ + i], flow_[2 * voxels_ + i]}, work_.size, Outside::kZero,
                  [&](const Corner& corner) {
                    if (moving_[corner.voxel] == label_) {
                      visit_label(corner);
                    }
                  });
  }

  const SoftDice& work_;
  std::int64_t voxels_;
  const std::uint8_t* fixed_;
  const std::uint8_t* moving_;
  const float* flow_;
  int label_;
  std::vector<double> membership_;  ///< [d, h, w], of the moving map
  double size_ = 0.0;
  double dice_ = 0.0;
  bool shrinks_ = true;
};

}  // namespace

std::size_t soft_dice_scratch_bytes(const VolumeSize& size) {
  return static_cast<std::size_t>(size.n) * kDiceSums * sizeof(std::uint64_t);
}

std::size_t soft_dice_slope_count(const VolumeSize& size) {
  return static_cast<std::size_t>(size.n) * 2 * kDiceBins;
}

double soft_dice_reference(const SoftDice& work, std::vector<double>* to_flow) {
  if (to_flow != nullptr) {
    to_flow->assign(static_cast<std::size_t>(3 * work.size.all()), 0.0);
  }
  const int first = work.background ? 0 : 1;
  const double terms = static_cast<double>(work.labels - first) * static_cast<double>(work.size.n);
  double sum = 0.0;
  for (std::int64_t n = 0; n < work.size.n; ++n) {
    for (int label = first; label < work.labels; ++label) {
      const LabelDice dice(work, n, label);
      sum += dice.dice();
      if (to_flow != nullptr) {
        dice.add_gradient(-1.0 / terms, to_flow->data() + 3 * n * work.size.voxels());
      }
    }
  }
  return 1.0 - sum / terms;
}

}  // namespace regatta::kernels
