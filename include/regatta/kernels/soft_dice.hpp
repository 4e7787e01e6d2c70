// Soft Dice of the fixed labels and the moving ones, warped trilinearly as one volume of zeros and ones per label, and
// its derivative with respect to the field. No such volume is in memory: the eight voxels around a point say how much
// of it belongs to each label.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

inline constexpr int kMostDiceLabels = 255;
inline constexpr double kDiceFloor = 1e-5;

/// What twice the common voxels of a label are divided by.
enum class DiceSize {
  kSquares,  ///< sum of squared memberships, of both maps, + kDiceFloor
  kSums      ///< sum of memberships, at least kDiceFloor
};

struct SoftDice {
  const std::uint8_t* fixed = nullptr;   ///< [n, 1, d, h, w], indexes of labels; others belong to no label
  const std::uint8_t* moving = nullptr;  ///< the same
  const float* flow = nullptr;           ///< [n, 3, d, h, w] float32, voxels, components D, H, W
  VolumeSize size;                       ///< below 2^31 voxels a volume
  int labels = 0;                        ///< 1 .. kMostDiceLabels
  bool background = true;                ///< index 0 counts as the others do; without it at least two labels
  DiceSize form = DiceSize::kSquares;
};

/// Bytes of `scratch`, aligned to 8. What it holds before does not matter.
std::size_t soft_dice_scratch_bytes(const VolumeSize& size);

/// Elements of `slopes`, aligned to 8 bytes.
std::size_t soft_dice_slope_count(const VolumeSize& size);

/// loss = 1 - mean of Dice over labels and volumes. A label in neither map has Dice 0.
/// @param slopes  on the device, what the derivative needs of each label; overwritten
/// @param loss    one float on the device
/// @throws BugError on wrong arguments; DeviceError if a launch fails
/// A clearing and two launches. Deterministic: sums of integers. Memberships are rounded to 2^-20, but for those of
/// voxels whose eight neighbours have one label, which are 1. Outside the volume there is no label. A displacement that
/// is not finite makes the loss and the slopes NaN.
void soft_dice_forward(const SoftDice& work, float* slopes, float* loss, void* scratch, Stream stream);

/// The derivative of the loss with respect to the field.
/// @param slopes    of the forward pass
/// @param upstream  derivative with respect to the loss, one float on the device; nullptr: 1
/// @param to_flow   [n, 3, d, h, w] float32, overwritten
/// One launch, no scratch. Deterministic.
void soft_dice_backward(const SoftDice& work, const float* slopes, const float* upstream, float* to_flow,
                        Stream stream);

/// The same in float64 on the CPU, label by label; `work` points to memory of the CPU.
/// @param to_flow  resized and written; nullptr: loss only
double soft_dice_reference(const SoftDice& work, std::vector<double>* to_flow);

}  // namespace regatta::kernels
