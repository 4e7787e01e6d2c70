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

#include "coded_volume.hpp"
#include "regatta/volume/archive.hpp"
#include "regatta/volume/dataset.hpp"

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

/// Memory of volumes that are packed, for those that come next: new memory would have to be cleared first.
class SpareMemory {
 public:
  CodedVolume take() {
    const std::lock_guard lock(mutex_);
    if (volumes_.empty()) {
      return {};
    }
    CodedVolume volume = std::move(volumes_.back());
    volumes_.pop_back();
    return volume;
  }

  void give(CodedVolume volume) {
    const std::lock_guard lock(mutex_);
    volumes_.push_back(std::move(volume));
  }

 private:
  std::mutex mutex_;
  std::vector<CodedVolume> volumes_;
};

/// What a data set file asks for, with everything settled that it left to the first subject.
struct PackJob {
  const DatasetFile* dataset = nullptr;
  PreprocessOptions preprocess;
  std::optional<PackAtlas> atlas;
  std::shared_ptr<SpareMemory> spare = std::make_shared<SpareMemory>();

  std::vector<std::string> modalities() const;
};

/// The frame to read of labels or a mask: the subject's where they are a series too, else -1.
int companion_frame(const SubjectEntry& subject, const std::string& path, const std::string& npz_orientation);

/// @throws DataError naming `path` unless labels or a mask lie where their image lies
void require_image_grid(const Grid& grid, const Grid& image, const std::string& path);

/// @param index    of the data set's subjects
/// @param threads  for the work on this one subject
/// @throws DataError naming the file
PackedSubject prepare_subject(const PackJob& job, std::size_t index, int threads);

}  // namespace regatta
