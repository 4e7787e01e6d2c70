// Loading of the volumes to the device and gathering of batches.
#include "regatta/train/dataset.hpp"

#include <set>
#include <span>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/Exception.h>

#include "regatta/base/error.hpp"
#include "train/torch_errors.hpp"

namespace regatta {
namespace {

/// Archive subjects that the pairs of the splits name, ascending.
std::set<std::int64_t> subjects_of(const Archive& archive, const std::vector<std::string>& splits) {
  std::set<std::int64_t> subjects;
  for (const std::string& split : splits) {
    for (const ArchivePair& pair : archive.pairs(split)) {
      subjects.insert(pair.moving);
      subjects.insert(pair.fixed);
    }
  }
  return subjects;
}

std::int64_t value_bytes(const Archive& archive) {
  return archive.image_type() == VoxelType::kUint8 ? 1 : 4;
}

at::ScalarType scalar_type(const Archive& archive) {
  return archive.image_type() == VoxelType::kUint8 ? at::kByte : at::kFloat;
}

}  // namespace

std::int64_t dataset_bytes(const Archive& archive, const std::vector<std::string>& splits) {
  const auto volumes = static_cast<std::int64_t>(subjects_of(archive, splits).size());
  return volumes * voxel_count(archive.shape()) * (value_bytes(archive) + (archive.has_labels() ? 1 : 0));
}

Dataset Dataset::load(const Archive& archive, const std::vector<std::string>& splits, const at::Device& device,
                      const std::function<void(std::int64_t, std::int64_t)>& on_volume) {
  Dataset data;
  data.scale_ = archive.image_scale();
  data.label_count_ = static_cast<std::int64_t>(archive.label_ids().size());
  for (const ArchiveSubject& subject : archive.subjects()) {
    data.ids_.push_back(subject.id);
    data.has_labels_.push_back(subject.has_labels);
  }
  for (const std::string& split : splits) {
    data.pairs_[split] = archive.pairs(split);
  }
  const std::set<std::int64_t> subjects = subjects_of(archive, splits);
  const auto count = static_cast<std::int64_t>(subjects.size());
  const auto [D, H, W] = archive.shape();
  try {
    data.images_ = at::empty({count, 1, D, H, W}, at::device(device).dtype(scalar_type(archive)));
    if (archive.has_labels()) {
      data.labels_ = at::empty({count, 1, D, H, W}, at::device(device).dtype(at::kByte));
    }
  } catch (const c10::Error& error) {
    if (!is_out_of_memory(error)) {
      throw;
    }
    throw Error(ExitCode::kOutOfMemory, str("the data set does not fit on ", device.str(), ": ", count, " volumes of ",
                                            shape_text(archive.shape()), " need ",
                                            bytes_text(static_cast<double>(dataset_bytes(archive, splits))),
                                            "; pack fewer or smaller volumes, or as uint8"));
  }
  const auto voxels = static_cast<std::size_t>(voxel_count(archive.shape()));
  std::vector<std::byte> image(voxels * static_cast<std::size_t>(value_bytes(archive)));
  std::vector<std::uint8_t> labels(archive.has_labels() ? voxels : 0);
  for (const std::int64_t subject : subjects) {
    const auto row = static_cast<std::int64_t>(data.row_of_.size());
    archive.read_image(subject, image);
    data.images_[row].copy_(at::from_blob(image.data(), {1, D, H, W}, at::dtype(scalar_type(archive))));
    if (data.has_labels_[static_cast<std::size_t>(subject)]) {
      archive.read_labels(subject, labels);
      data.labels_[row].copy_(at::from_blob(labels.data(), {1, D, H, W}, at::dtype(at::kByte)));
    }
    data.row_of_[subject] = row;
    if (on_volume) {
      on_volume(row + 1, count);
    }
  }
  return data;
}

const std::vector<ArchivePair>& Dataset::pairs(const std::string& split) const {
  const auto found = pairs_.find(split);
  REGATTA_REQUIRE(found != pairs_.end(), BugError, "split '", split, "' was not loaded");
  return found->second;
}

const std::string& Dataset::subject_id(std::int64_t subject) const {
  return ids_.at(static_cast<std::size_t>(subject));
}

std::string Dataset::pair_text(const ArchivePair& pair) const {
  return str("moving '", subject_id(pair.moving), "', fixed '", subject_id(pair.fixed), "'");
}

std::int64_t Dataset::bytes() const {
  const auto size = [](const at::Tensor& tensor) {
    return tensor.defined() ? static_cast<std::int64_t>(tensor.nbytes()) : std::int64_t{0};
  };
  return size(images_) + size(labels_);
}

at::Tensor Dataset::gather_kind(const at::Tensor& all, const std::vector<std::int64_t>& subjects,
                                const std::vector<Flips>& flips) const {
  std::vector<at::Tensor> rows;
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    at::Tensor row = all.narrow(0, row_of_.at(subjects[i]), 1);  // [1, 1, D, H, W], a view
    if (i < flips.size()) {
      std::vector<std::int64_t> axes;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        if (flips[i][axis]) {
          axes.push_back(static_cast<std::int64_t>(axis) + 2);
        }
      }
      row = axes.empty() ? row : at::flip(row, axes);
    }
    rows.push_back(row);
  }
  return rows.size() == 1 ? rows.front() : at::cat(rows);  // [N, 1, D, H, W]
}

bool Dataset::have_labels(const std::vector<std::int64_t>& subjects) const {
  for (const std::int64_t subject : subjects) {
    if (!has_labels_.at(static_cast<std::size_t>(subject))) {
      return false;
    }
  }
  return labels_.defined();
}

PairState Dataset::gather(const std::vector<ArchivePair>& pairs, const std::vector<Flips>& flips) const {
  const at::NoGradGuard no_gradients;
  std::vector<std::int64_t> moving;
  std::vector<std::int64_t> fixed;
  for (const ArchivePair& pair : pairs) {
    moving.push_back(pair.moving);
    fixed.push_back(pair.fixed);
  }
  PairState state;
  state.moving = gather_kind(images_, moving, flips).to(at::kFloat).mul(scale_);
  state.fixed = gather_kind(images_, fixed, flips).to(at::kFloat).mul(scale_);
  if (have_labels(moving) && have_labels(fixed)) {
    state.moving_labels = gather_kind(labels_, moving, flips);
    state.fixed_labels = gather_kind(labels_, fixed, flips);
  }
  state.label_count = label_count_;
  return state;
}

}  // namespace regatta
