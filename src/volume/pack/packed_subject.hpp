// One subject from its files to what lies in the archive: read, aligned, resampled, scaled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "regatta/volume/archive.hpp"
#include "regatta/volume/dataset.hpp"
#include "volume/pack/coded_volume.hpp"

namespace regatta {

struct PackedSubject {
  ArchiveSubject row;
  Shape3 shape{};
  LargeVector<std::byte> images;           ///< [C, D, H, W], uint8 or float32
  std::vector<std::int32_t> label_values;  ///< what each index in `labels` means, ascending
  std::vector<std::uint8_t> labels;        ///< [D, H, W], or empty
  std::vector<std::uint8_t> mask;          ///< [D, H, W], 0 or 1, or empty
};

/// The scan that all others are aligned to.
struct PackAtlas {
  std::int64_t subject = 0;
  Volume volume;
  Grid packed;
};

/// Memory of what is done with, for those that come next: the system would have to clear new memory first.
template <class T>
class Spare {
 public:
  T take() {
    const std::lock_guard lock(mutex_);
    if (spare_.empty()) {
      return {};
    }
    T one = std::move(spare_.back());
    spare_.pop_back();
    return one;
  }

  void give(T one) {
    const std::lock_guard lock(mutex_);
    spare_.push_back(std::move(one));
  }

 private:
  std::mutex mutex_;
  std::vector<T> spare_;
};

/// Labels and masks that were whole but for rounding, over all subjects.
class RoundedValues {
 public:
  void add(const LabelVolume& labels) {
    const std::lock_guard lock(mutex_);
    files_ += labels.rounded > 0 ? 1 : 0;
    values_ += labels.rounded;
  }

  /// One line; "" if there are none.
  std::string text() const;

 private:
  mutable std::mutex mutex_;
  std::int64_t files_ = 0;
  std::int64_t values_ = 0;
};

struct SpareMemory {
  Spare<CodedVolume> volumes;
  Spare<LargeVector<std::byte>> images;
};

/// What a data set file asks for, with everything settled that it left to the first subject.
struct PackJob {
  const DatasetFile* dataset = nullptr;
  PreprocessOptions preprocess;
  std::optional<PackAtlas> atlas;
  std::vector<std::optional<Grid>> shared_grids;  ///< place physical: of each subject, where another one's is shared
  std::shared_ptr<SpareMemory> spare = std::make_shared<SpareMemory>();
  std::shared_ptr<RoundedValues> rounded = std::make_shared<RoundedValues>();

  std::vector<std::string> modalities() const;

  /// The packed grid that a subject shares with another one; null where it has its own.
  const Grid* shared_grid(std::size_t index) const;
};

/// Points of a key-point file of one subject, in voxels of its packed grid. @param row  of that subject, packed
/// @throws DataError naming the file
std::vector<Point3> packed_keypoints(const DatasetFile& dataset, const std::string& path, const ArchiveSubject& row);

/// The frame to read of labels or a mask: the subject's where they are a series too, else -1.
int companion_frame(const SubjectEntry& subject, const std::string& path, const std::string& npz_orientation);

/// @throws DataError naming `path` unless labels or a mask lie where their image lies
void require_image_grid(const Grid& grid, const Grid& image, const std::string& path);

/// @param index    of the data set's subjects
/// @param threads  for the work on this one subject
/// @throws DataError naming the file
/// @return its images' memory goes back to `job.spare` with it
std::shared_ptr<PackedSubject> prepare_subject(const PackJob& job, std::size_t index, int threads);

}  // namespace regatta
