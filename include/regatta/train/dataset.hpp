// The volumes that a training needs, in their packed form, and the tensors of one step gathered from them. Sets that
// fit are held on the device as a whole; of larger ones as many volumes as there is room for, and the next step's are
// brought while a step runs. Both ways give the same bits. Order and mirroring are decided in pair_order.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/nn/loss.hpp"
#include "regatta/train/pair_order.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta {

class KeypointStore;
struct BatchShare;
class VolumeStream;

/// What of an archive is needed.
struct DatasetParts {
  std::vector<std::string> splits;
  std::string moving_modality;  ///< empty: the archive's first
  std::string fixed_modality;
};

/// Bytes of one subject on the device. @throws ConfigError for a modality that the archive does not have
std::int64_t subject_bytes(const Archive& archive, const DatasetParts& parts);

/// Bytes that the whole set takes there.
std::int64_t dataset_bytes(const Archive& archive, const DatasetParts& parts);

class Dataset {
 public:
  /// Loads the volumes that the pairs of the splits name, each verified against its checksum.
  /// @param held       how many subjects the device holds; 0 or more than there are: all, none is ever loaded again
  /// @param on_volume  called after each volume with (done, all), one call at a time, by any thread; may be empty
  /// @throws DataError from the archive; Error with exit code 12, naming the sizes, if the device has no room
  static Dataset load(const Archive& archive, const DatasetParts& parts, const at::Device& device,
                      std::int64_t held = 0, const std::function<void(std::int64_t, std::int64_t)>& on_volume = {});
  Dataset(Dataset&&) noexcept;
  ~Dataset();

  /// Pairs of a loaded split; indices are those of the archive's subjects.
  const std::vector<ArchivePair>& pairs(const std::string& split) const;

  /// "moving 'atlas', fixed 's03'"
  std::string pair_text(const ArchivePair& pair) const;
  const std::string& subject_id(std::int64_t subject) const;

  /// The tensors of a batch; images as float32 in [0, 1]. Labels are undefined if one of the subjects has none, masks
  /// if none of that side has one (else that of a subject without is 1 everywhere), key-points also for several pairs
  /// at a time or lists of different lengths. With the key-points come the axes of both scans' voxels.
  /// @param flips  one per pair, or empty for none
  /// @throws DataError from the archive, where volumes are streamed
  PairState gather(const std::vector<ArchivePair>& pairs, const std::vector<Flips>& flips = {}) const;

  /// The same of the pairs begin .. end - 1 alone, for a batch that is spread over several processes. What a pair
  /// brings does not depend on who has it: labels and masks are there where the whole batch has them, key-points are
  /// not where it has several pairs. @param share  becomes how much the pairs count. Without pairs, images are
  /// undefined
  PairState gather_part(const std::vector<ArchivePair>& pairs, const std::vector<Flips>& flips, std::size_t begin,
                        std::size_t end, BatchShare& share) const;

  /// Says what `gather` will be asked for next, so that it is brought meanwhile. Nothing where all is held.
  void prefetch(const std::vector<ArchivePair>& pairs) const;

  std::int64_t volumes() const { return volumes_; }
  std::int64_t bytes() const;
  bool is_streamed() const { return stream_ != nullptr; }

  /// Whether no image on the device leaves [0, 1]: those of a float32 archive are looked at as they are loaded, of a
  /// streamed set none is before the first step. `gather` says the same of its pairs alone.
  bool in_unit_range() const;

 private:
  struct Volumes;

  Dataset();
  at::Tensor gather_kind(const at::Tensor& all, const std::vector<std::int64_t>& rows,
                         const std::vector<Flips>& flips) const;
  std::vector<std::int64_t> rows_of(const std::vector<std::int64_t>& subjects) const;
  bool any_masked(const std::vector<std::int64_t>& subjects) const;
  at::Tensor gather_masks(const std::vector<std::int64_t>& subjects, const std::vector<std::int64_t>& rows,
                          const std::vector<Flips>& flips) const;
  double mask_share(const std::vector<std::int64_t>& subjects, std::size_t begin, std::size_t end) const;
  std::int64_t mask_voxels(std::int64_t subject) const;

  std::map<std::string, std::vector<ArchivePair>> pairs_;
  std::map<std::int64_t, std::int64_t> row_of_;  ///< archive subject -> row, where all is held
  std::vector<ArchiveSubject> subjects_;
  std::unique_ptr<Volumes> volumes_on_device_;
  std::unique_ptr<VolumeStream> stream_;
  std::unique_ptr<KeypointStore> keypoints_;
  const Archive* archive_ = nullptr;
  mutable std::map<std::int64_t, std::int64_t> mask_voxels_;  ///< of the subjects that were asked for
  std::int64_t volumes_ = 0;
  std::size_t moving_channel_ = 0;
  std::size_t fixed_channel_ = 0;
  double scale_ = 1.0;
  std::int64_t label_count_ = 0;
  Shape3 shape_{};
};

}  // namespace regatta
