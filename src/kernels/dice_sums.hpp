// What the soft Dice keeps of each volume between its kernels.
#pragma once

namespace regatta::kernels {

constexpr int kDiceBins = 256;                        ///< values of a byte
constexpr int kNoLabel = kDiceBins - 1;               ///< of what lies outside; never one of the labels
constexpr int kDiceRows = 3;                          ///< fixed, common, moving
constexpr int kDiceSums = kDiceRows * kDiceBins + 1;  ///< and how many displacements are not finite

}  // namespace regatta::kernels
