// The rules by which subjects look wrong, and their thresholds. docs/inspect.md explains each. Private to the
// inspection.
#pragma once

#include <span>

#include "volume/inspect/inspection_measure.hpp"

namespace regatta {

inline constexpr std::size_t kLeastForSpread = 5;        ///< subjects, below which nothing counts as unusual
inline constexpr std::size_t kLeastOthersWithLabel = 3;  ///< subjects
inline constexpr double kUsualLabelShare = 0.9;          ///< of the other labelled subjects
inline constexpr double kUnusual = 6.0;                  ///< robust standard deviations
inline constexpr double kLeastLogVolume = 0.1;           ///< smallest usual deviation of a label's log volume
inline constexpr double kLabelVolumeFactor = 1.5;        ///< times the median, or its inverse
inline constexpr double kLeastIntensity = 0.03;          ///< smallest usual deviation of the mean, of 0..1
inline constexpr double kIntensityDifference = 0.1;      ///< from the median, of 0..1
inline constexpr double kLeastLogRange = 0.25;           ///< smallest usual deviation of the log of the file's range
inline constexpr double kRangeFactor = 5.0;              ///< times the median, or its inverse
inline constexpr double kLeastForeground = 0.005;        ///< share of voxels
inline constexpr double kForegroundFactor = 0.25;        ///< of the median
inline constexpr double kNearDuplicate = 0.999;          ///< correlation of thumbnails
inline constexpr double kNearDuplicateDistance = 0.25;   ///< of the usual distance to the closest other scan
inline constexpr double kCropped = 0.1;                  ///< of an outer face, above the median
inline constexpr double kCroppedAlone = 0.3;             ///< of an outer face, where there are few subjects
inline constexpr double kLeastBorder = 0.015;            ///< smallest usual deviation of that share
inline constexpr double kAffineDifference = 0.1;         ///< of the local correlation, below the median
inline constexpr double kLeastAffineDeviation = 0.015;   ///< smallest usual deviation of that correlation
inline constexpr double kFullMask = 0.999;               ///< of all voxels

/// Fills the findings, where each scan lies, and what holds for the whole set.
void apply_rules(std::span<SubjectMeasure> subjects, const Archive& archive, int threads, Inspection& inspection);

}  // namespace regatta
