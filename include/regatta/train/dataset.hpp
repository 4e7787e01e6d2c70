// The volumes that a training needs, all on its device in their packed form, and the tensors of one step gathered from
// them. Order and mirroring are decided in pair_order.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/nn/loss.hpp"
#include "regatta/train/pair_order.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta {

/// Bytes that `Dataset::load` takes on the device.
std::int64_t dataset_bytes(const Archive& archive, const std::vector<std::string>& splits);

class Dataset {
 public:
  /// Loads the volumes that the pairs of the splits name, each verified against its checksum.
  /// @param on_volume  called after each volume with (done, all); may be empty
  /// @throws DataError from the archive; Error with exit code 12, naming the sizes, if the device has no room
  static Dataset load(const Archive& archive, const std::vector<std::string>& splits, const at::Device& device,
                      const std::function<void(std::int64_t, std::int64_t)>& on_volume = {});

  /// Pairs of a loaded split; indices are those of the archive's subjects.
  const std::vector<ArchivePair>& pairs(const std::string& split) const;

  /// "moving 'atlas', fixed 's03'"
  std::string pair_text(const ArchivePair& pair) const;
  const std::string& subject_id(std::int64_t subject) const;

  /// The tensors of a batch; images as float32 in [0, 1]. Labels are undefined if one of the subjects has none.
  /// @param flips  one per pair, or empty for none
  PairState gather(const std::vector<ArchivePair>& pairs, const std::vector<Flips>& flips = {}) const;

  std::int64_t volumes() const { return static_cast<std::int64_t>(row_of_.size()); }
  std::int64_t bytes() const;

 private:
  at::Tensor gather_kind(const at::Tensor& all, const std::vector<std::int64_t>& subjects,
                         const std::vector<Flips>& flips) const;
  bool have_labels(const std::vector<std::int64_t>& subjects) const;

  std::map<std::string, std::vector<ArchivePair>> pairs_;
  std::map<std::int64_t, std::int64_t> row_of_;  ///< archive subject -> row of images_
  std::vector<std::string> ids_;                 ///< of the archive's subjects
  std::vector<bool> has_labels_;                 ///< of the archive's subjects
  at::Tensor images_;                            ///< [n, 1, D, H, W] uint8 or float32
  at::Tensor labels_;                            ///< [n, 1, D, H, W] uint8, undefined without labels
  double scale_ = 1.0;
  std::int64_t label_count_ = 0;
};

}  // namespace regatta
