// Loading of the volumes to the device, all at once or in turns, and gathering of batches.
#include "regatta/train/dataset.hpp"

#include <algorithm>
#include <exception>
#include <mutex>
#include <set>
#include <span>
#include <thread>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/ones.h>
#include <c10/util/Exception.h>

#include "regatta/base/error.hpp"
#include "train/batch_share.hpp"
#include "train/keypoint_store.hpp"
#include "train/torch_errors.hpp"
#include "train/volume_stream.hpp"

namespace regatta {
namespace {

constexpr double kByteScale = 1.0 / 255.0;

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

std::size_t modality_of(const Archive& archive, const std::string& name, const char* pointer) {
  const std::vector<std::string>& all = archive.modalities();
  const auto found = name.empty() ? all.begin() : std::find(all.begin(), all.end(), name);
  REGATTA_REQUIRE(found != all.end(), ConfigError, pointer, ": '", one_line(name, 60), "', ", archive.path().string(),
                  " has: ", join(all, ", "));
  return static_cast<std::size_t>(found - all.begin());
}

/// Modalities that are loaded: those of the moving and of the fixed image, once if they are the same.
std::vector<std::size_t> modalities_of(const Archive& archive, const DatasetParts& parts) {
  const std::size_t moving = modality_of(archive, parts.moving_modality, "/data/moving_modality");
  const std::size_t fixed = modality_of(archive, parts.fixed_modality, "/data/fixed_modality");
  return moving == fixed ? std::vector<std::size_t>{moving} : std::vector<std::size_t>{moving, fixed};
}

}  // namespace

/// Tensors with one row a subject; what no subject has is undefined.
struct Dataset::Volumes {
  at::Tensor images;                  ///< [n, C, D, H, W] uint8 or float32
  at::Tensor labels;                  ///< [n, 1, D, H, W] uint8
  at::Tensor masks;                   ///< [n, 1, D, H, W] uint8
  std::vector<std::uint8_t> outside;  ///< [n] 1: an image of the row leaves [0, 1]

  static Volumes make(const Archive& archive, std::int64_t rows, std::size_t modalities, const at::Device& device) {
    const auto [D, H, W] = archive.shape();
    const auto place = at::device(device);
    Volumes volumes;
    volumes.images =
        at::empty({rows, static_cast<std::int64_t>(modalities), D, H, W}, place.dtype(scalar_type(archive)));
    volumes.outside.resize(static_cast<std::size_t>(rows));
    if (archive.has_labels()) {
      volumes.labels = at::empty({rows, 1, D, H, W}, place.dtype(at::kByte));
    }
    if (archive.has_masks()) {
      volumes.masks = at::empty({rows, 1, D, H, W}, place.dtype(at::kByte));
    }
    return volumes;
  }

  std::int64_t bytes() const {
    const auto size = [](const at::Tensor& tensor) {
      return tensor.defined() ? static_cast<std::int64_t>(tensor.nbytes()) : std::int64_t{0};
    };
    return size(images) + size(labels) + size(masks);
  }
};

namespace {

/// NaN is outside.
bool is_in_unit_range(const at::Tensor& image, double scale) {
  if (image.scalar_type() == at::kByte) {
    return scale <= kByteScale;
  }
  const float* values = image.const_data_ptr<float>();
  const auto factor = static_cast<float>(scale);
  bool inside = true;
  for (std::int64_t i = 0; i < image.numel(); ++i) {  // without a branch, so that it is done many at a time
    const float value = values[i] * factor;
    inside &= (value >= 0.0F) & (value <= 1.0F);
  }
  return inside;
}

/// Reads a subject's volumes: straight into the row where that is in host memory, else into a buffer that is handed to
/// `copy(tensor of the row, host tensor)`.
class SubjectReader {
 public:
  SubjectReader(const Archive& archive, std::vector<std::size_t> modalities, at::Tensor image, at::Tensor bytes)
      : archive_(archive), modalities_(std::move(modalities)), image_(std::move(image)), bytes_(std::move(bytes)) {}

  template <class Volumes, class Copy>
  void read(std::int64_t subject, std::int64_t row, Volumes& to, const Copy& copy) {
    bool inside = true;
    const ArchiveSubject& entry = archive_.subjects()[static_cast<std::size_t>(subject)];
    for (std::size_t channel = 0; channel < modalities_.size(); ++channel) {
      through(image_, to.images[row][static_cast<std::int64_t>(channel)], copy, [&](const at::Tensor& buffer) {
        archive_.read_image(subject, {static_cast<std::byte*>(buffer.mutable_data_ptr()), buffer.nbytes()},
                            modalities_[channel]);
        inside = inside && is_in_unit_range(buffer, archive_.image_scale());
      });
    }
    to.outside[static_cast<std::size_t>(row)] = inside ? 0 : 1;
    if (entry.has_labels) {
      through(bytes_, to.labels[row][0], copy,
              [&](const at::Tensor& buffer) { archive_.read_labels(subject, voxels_of(buffer)); });
    }
    if (entry.has_mask) {
      through(bytes_, to.masks[row][0], copy,
              [&](const at::Tensor& buffer) { archive_.read_mask(subject, voxels_of(buffer)); });
    }
  }

 private:
  static std::span<std::uint8_t> voxels_of(const at::Tensor& buffer) {
    return {buffer.mutable_data_ptr<std::uint8_t>(), buffer.nbytes()};
  }

  template <class Copy, class Read>
  static void through(const at::Tensor& buffer, const at::Tensor& row, const Copy& copy, const Read& read) {
    const bool direct = row.device().is_cpu();
    read(direct ? row : buffer);
    if (!direct) {
      copy(row, buffer);
    }
  }

  const Archive& archive_;
  std::vector<std::size_t> modalities_;
  at::Tensor image_;  ///< [D, H, W] on the host, of the archive's type
  at::Tensor bytes_;  ///< [D, H, W] on the host, uint8
};

/// Threads read in turn (HDF5 allows no more) and hash side by side; the calling one waits.
template <class Volumes>
void load_all(const Archive& archive, const std::vector<std::size_t>& modalities,
              const std::map<std::int64_t, std::int64_t>& row_of, Volumes& volumes,
              const std::function<void(std::int64_t, std::int64_t)>& on_volume) {
  constexpr std::size_t kReaders = 2;
  const std::vector<std::pair<std::int64_t, std::int64_t>> all(row_of.begin(), row_of.end());
  std::mutex mutex;
  std::size_t next = 0;
  std::int64_t done = 0;
  std::exception_ptr error;
  const auto read_some = [&] {
    const auto [D, H, W] = archive.shape();
    SubjectReader reader(archive, modalities, at::empty({D, H, W}, at::dtype(scalar_type(archive))),
                         at::empty({D, H, W}, at::dtype(at::kByte)));
    std::unique_lock lock(mutex);
    while (next < all.size() && error == nullptr) {
      const auto [subject, row] = all[next++];
      lock.unlock();
      std::exception_ptr failure;
      try {
        reader.read(subject, row, volumes, [](const at::Tensor& to, const at::Tensor& from) { to.copy_(from); });
      } catch (const std::exception&) {
        failure = std::current_exception();
      }
      lock.lock();
      error = error != nullptr ? error : failure;
      if (failure == nullptr && on_volume) {
        on_volume(++done, static_cast<std::int64_t>(all.size()));
      }
    }
  };
  {
    std::vector<std::jthread> team;
    for (std::size_t i = 0; i < std::min(kReaders, all.size()); ++i) {
      team.emplace_back(read_some);
    }
  }
  if (error != nullptr) {
    std::rethrow_exception(error);
  }
}

}  // namespace

std::int64_t subject_bytes(const Archive& archive, const DatasetParts& parts) {
  const auto images = static_cast<std::int64_t>(modalities_of(archive, parts).size()) * value_bytes(archive);
  return voxel_count(archive.shape()) * (images + (archive.has_labels() ? 1 : 0) + (archive.has_masks() ? 1 : 0));
}

std::int64_t dataset_bytes(const Archive& archive, const DatasetParts& parts) {
  return static_cast<std::int64_t>(subjects_of(archive, parts.splits).size()) * subject_bytes(archive, parts);
}

Dataset::Dataset() = default;
Dataset::Dataset(Dataset&&) noexcept = default;
Dataset::~Dataset() = default;

Dataset Dataset::load(const Archive& archive, const DatasetParts& parts, const at::Device& device, std::int64_t held,
                      const std::function<void(std::int64_t, std::int64_t)>& on_volume) {
  Dataset data;
  data.archive_ = &archive;
  data.scale_ = archive.image_scale();
  data.label_count_ = static_cast<std::int64_t>(archive.label_ids().size());
  data.subjects_ = archive.subjects();
  data.shape_ = archive.shape();
  std::vector<ArchivePair> pairs;
  for (const std::string& split : parts.splits) {
    const std::vector<ArchivePair>& own = data.pairs_[split] = archive.pairs(split);
    pairs.insert(pairs.end(), own.begin(), own.end());
  }
  data.keypoints_ = std::make_unique<KeypointStore>(data.subjects_, pairs, data.shape_, device);
  const std::vector<std::size_t> modalities = modalities_of(archive, parts);
  data.fixed_channel_ = modalities.size() - 1;
  const std::set<std::int64_t> subjects = subjects_of(archive, parts.splits);
  data.volumes_ = static_cast<std::int64_t>(subjects.size());
  const bool all = held <= 0 || held >= data.volumes_;
  const std::int64_t rows = all ? data.volumes_ : held;
  try {
    data.volumes_on_device_ = std::make_unique<Volumes>(Volumes::make(archive, rows, modalities.size(), device));
  } catch (const c10::Error& error) {
    if (!is_out_of_memory(error)) {
      throw;
    }
    throw Error(ExitCode::kOutOfMemory, str("the data set does not fit on ", device.str(), ": ", rows, " volumes of ",
                                            shape_text(archive.shape()), " need ",
                                            bytes_text(static_cast<double>(rows * subject_bytes(archive, parts))),
                                            "; /run/data streamed holds a part of it at a time"));
  }
  const auto [D, H, W] = archive.shape();
  Volumes& volumes = *data.volumes_on_device_;
  if (!all) {
    // The thread's own page-locked buffers, made on its first call.
    auto reader = std::make_shared<std::unique_ptr<SubjectReader>>();
    data.stream_ = std::make_unique<VolumeStream>(
        rows, device,
        [&archive, &volumes, modalities, reader, D, H, W](std::int64_t subject, std::int64_t row,
                                                          UploadStream& uploads) {
          if (!*reader) {
            *reader =
                std::make_unique<SubjectReader>(archive, modalities, uploads.staging({D, H, W}, scalar_type(archive)),
                                                uploads.staging({D, H, W}, at::kByte));
          }
          (*reader)->read(subject, row, volumes,
                          [&uploads](const at::Tensor& to, const at::Tensor& from) { uploads.upload(to, from); });
        });
    return data;
  }
  for (const std::int64_t subject : subjects) {
    data.row_of_.emplace(subject, static_cast<std::int64_t>(data.row_of_.size()));
  }
  load_all(archive, modalities, data.row_of_, volumes, on_volume);
  return data;
}

const std::vector<ArchivePair>& Dataset::pairs(const std::string& split) const {
  const auto found = pairs_.find(split);
  REGATTA_REQUIRE(found != pairs_.end(), BugError, "split '", split, "' was not loaded");
  return found->second;
}

const std::string& Dataset::subject_id(std::int64_t subject) const {
  return subjects_.at(static_cast<std::size_t>(subject)).id;
}

std::string Dataset::pair_text(const ArchivePair& pair) const {
  return str("moving '", subject_id(pair.moving), "', fixed '", subject_id(pair.fixed), "'");
}

bool Dataset::in_unit_range() const {
  const std::vector<std::uint8_t>& outside = volumes_on_device_->outside;
  return std::find(outside.begin(), outside.end(), 1) == outside.end();
}

std::int64_t Dataset::bytes() const {
  return volumes_on_device_->bytes();
}

std::vector<std::int64_t> Dataset::rows_of(const std::vector<std::int64_t>& subjects) const {
  if (stream_) {
    return stream_->take(subjects);
  }
  std::vector<std::int64_t> rows;
  for (const std::int64_t subject : subjects) {
    rows.push_back(row_of_.at(subject));
  }
  return rows;
}

void Dataset::prefetch(const std::vector<ArchivePair>& pairs) const {
  if (!stream_) {
    return;
  }
  std::vector<std::int64_t> subjects;
  for (const ArchivePair& pair : pairs) {
    subjects.insert(subjects.end(), {pair.moving, pair.fixed});
  }
  stream_->prefetch(subjects);
}

/// @param all  [n, 1, D, H, W]
at::Tensor Dataset::gather_kind(const at::Tensor& all, const std::vector<std::int64_t>& rows,
                                const std::vector<Flips>& flips) const {
  std::vector<at::Tensor> volumes;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    at::Tensor volume = all.narrow(0, rows[i], 1);  // [1, 1, D, H, W], a view
    if (i < flips.size()) {
      std::vector<std::int64_t> axes;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        if (flips[i][axis]) {
          axes.push_back(static_cast<std::int64_t>(axis) + 2);
        }
      }
      volume = axes.empty() ? volume : at::flip(volume, axes);
    }
    volumes.push_back(volume);
  }
  return volumes.size() == 1 ? volumes.front() : at::cat(volumes);  // [N, 1, D, H, W]
}

bool Dataset::any_masked(const std::vector<std::int64_t>& subjects) const {
  return std::any_of(subjects.begin(), subjects.end(),
                     [this](std::int64_t subject) { return subjects_[static_cast<std::size_t>(subject)].has_mask; });
}

/// Voxels that count: all of them where the subject has no mask.
std::int64_t Dataset::mask_voxels(std::int64_t subject) const {
  const auto known = mask_voxels_.find(subject);
  if (known != mask_voxels_.end()) {
    return known->second;
  }
  std::int64_t count = voxel_count(shape_);
  if (subjects_[static_cast<std::size_t>(subject)].has_mask) {
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(count));
    archive_->read_mask(subject, mask);
    count = static_cast<std::int64_t>(mask.size()) - std::count(mask.begin(), mask.end(), std::uint8_t{0});
  }
  mask_voxels_.emplace(subject, count);
  return count;
}

/// Of the voxels within the masks of a batch's volumes, those of some of them; 1 voxel at least, as the means have it.
double Dataset::mask_share(const std::vector<std::int64_t>& subjects, std::size_t begin, std::size_t end) const {
  std::int64_t own = 0;
  std::int64_t all = 0;
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    const std::int64_t voxels = mask_voxels(subjects[i]);
    all += voxels;
    own += i >= begin && i < end ? voxels : 0;
  }
  return static_cast<double>(std::max<std::int64_t>(own, 1)) / static_cast<double>(std::max<std::int64_t>(all, 1));
}

/// @return a mask where the subject has none: 1 everywhere
at::Tensor Dataset::gather_masks(const std::vector<std::int64_t>& subjects, const std::vector<std::int64_t>& rows,
                                 const std::vector<Flips>& flips) const {
  const auto masked = [&](std::int64_t subject) { return subjects_[static_cast<std::size_t>(subject)].has_mask; };
  if (!any_masked(subjects)) {
    const auto [D, H, W] = shape_;
    return at::ones({static_cast<std::int64_t>(rows.size()), 1, D, H, W}, volumes_on_device_->masks.options());
  }
  at::Tensor masks = gather_kind(volumes_on_device_->masks, rows, flips);  // [N, 1, D, H, W]
  if (std::all_of(subjects.begin(), subjects.end(), masked)) {
    return masks;
  }
  for (std::size_t i = 0; i < subjects.size(); ++i) {  // several, so that `masks` is a copy
    if (!masked(subjects[i])) {
      masks.select(0, static_cast<std::int64_t>(i)).fill_(1);
    }
  }
  return masks;
}

PairState Dataset::gather(const std::vector<ArchivePair>& pairs, const std::vector<Flips>& flips) const {
  BatchShare whole;
  return gather_part(pairs, flips, 0, pairs.size(), whole);
}

PairState Dataset::gather_part(const std::vector<ArchivePair>& pairs, const std::vector<Flips>& all_flips,
                               std::size_t begin, std::size_t end, BatchShare& share) const {
  const at::NoGradGuard no_gradients;
  std::vector<std::int64_t> all_moving;
  std::vector<std::int64_t> all_fixed;
  for (const ArchivePair& pair : pairs) {
    all_moving.push_back(pair.moving);
    all_fixed.push_back(pair.fixed);
  }
  share.first = static_cast<std::int64_t>(begin);
  share.own = static_cast<std::int64_t>(end - begin);
  share.pairs = static_cast<std::int64_t>(pairs.size());
  PairState state;
  state.label_count = label_count_;
  if (begin == end) {
    return state;
  }
  const auto part_of = [&](const auto& all) {
    return std::vector(all.begin() + static_cast<std::ptrdiff_t>(begin),
                       all.begin() + static_cast<std::ptrdiff_t>(end));
  };
  const std::vector<std::int64_t> moving_subjects = part_of(all_moving);
  const std::vector<std::int64_t> fixed_subjects = part_of(all_fixed);
  const std::vector<Flips> flips = all_flips.empty() ? all_flips : part_of(all_flips);
  std::vector<std::int64_t> subjects = moving_subjects;  // the moving ones, then the fixed ones
  subjects.insert(subjects.end(), fixed_subjects.begin(), fixed_subjects.end());
  const std::vector<std::int64_t> rows = rows_of(subjects);
  const auto half = static_cast<std::ptrdiff_t>(moving_subjects.size());
  const std::vector<std::int64_t> moving(rows.begin(), rows.begin() + half);
  const std::vector<std::int64_t> fixed(rows.begin() + half, rows.end());
  const auto labelled = [&](std::int64_t subject) { return subjects_[static_cast<std::size_t>(subject)].has_labels; };
  const auto image = [&](std::size_t channel, const std::vector<std::int64_t>& of) {
    const at::Tensor all = volumes_on_device_->images.narrow(1, static_cast<std::int64_t>(channel), 1);
    return gather_kind(all, of, flips).to(at::kFloat).mul(scale_);
  };
  state.moving = image(moving_channel_, moving);
  state.fixed = image(fixed_channel_, fixed);
  state.in_unit_range = std::none_of(rows.begin(), rows.end(), [this](std::int64_t row) {
    return volumes_on_device_->outside[static_cast<std::size_t>(row)] != 0;
  });
  if (std::all_of(all_moving.begin(), all_moving.end(), labelled) &&
      std::all_of(all_fixed.begin(), all_fixed.end(), labelled)) {
    state.moving_labels = gather_kind(volumes_on_device_->labels, moving, flips);
    state.fixed_labels = gather_kind(volumes_on_device_->labels, fixed, flips);
  }
  if (any_masked(all_moving)) {
    state.moving_mask = gather_masks(moving_subjects, moving, flips);
    share.of_moving_mask = share.is_whole() ? 1.0 : mask_share(all_moving, begin, end);
  }
  if (any_masked(all_fixed)) {
    state.fixed_mask = gather_masks(fixed_subjects, fixed, flips);
    share.of_fixed_mask = share.is_whole() ? 1.0 : mask_share(all_fixed, begin, end);
  }
  if (pairs.size() == 1) {
    keypoints_->gather(subjects_, pairs.front(), flips.empty() ? Flips{} : flips.front(), state);
  }
  return state;
}

}  // namespace regatta
