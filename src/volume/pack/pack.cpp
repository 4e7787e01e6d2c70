#include "regatta/volume/pack.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <future>
#include <optional>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/progress.hpp"
#include "regatta/volume/affine_registration.hpp"
#include "regatta/volume/archive_writer.hpp"
#include "regatta/volume/qc.hpp"
#include "regatta/volume/volume_file.hpp"
#include "volume/grid/in_order.hpp"
#include "volume/grid/parallel.hpp"
#include "volume/pack/dataset_pairs.hpp"
#include "volume/pack/pack_checks.hpp"
#include "volume/pack/pack_keys.hpp"
#include "volume/pack/pack_store.hpp"
#include "volume/pack/packed_subject.hpp"
#include "volume/pack/pair_keypoints.hpp"
#include "volume/pack/pair_overlap.hpp"
#include "volume/pack/shared_space.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostTiles = 1000;  // of the picture sheet

/// Voxels of the first modality, 0..1, for pictures.
std::function<float(std::size_t)> shown_image(const PackedSubject& subject) {
  const std::byte* bytes = subject.images.data();
  if (subject.images.size() == static_cast<std::size_t>(voxel_count(subject.shape)) * subject.row.intensity.size()) {
    return [bytes](std::size_t voxel) { return static_cast<float>(bytes[voxel]) / 255.0F; };
  }
  return [bytes](std::size_t voxel) {
    float value = 0.0F;
    std::memcpy(&value, bytes + voxel * sizeof value, sizeof value);
    return value;
  };
}

class Packer {
 public:
  Packer(const DatasetFile& dataset, const PackOptions& options)
      : dataset_(dataset),
        options_(options),
        threads_(options.threads > 0 ? options.threads : available_threads()),
        twins_(dataset.subjects, [this](std::size_t index) { return is_atlas(subjects()[index], dataset_.options); }) {}

  PackSummary run();

 private:
  const std::vector<SubjectEntry>& subjects() const { return dataset_.subjects; }
  void require_output() const;
  void load_atlas();
  void find_keys();
  void warn(std::string text);
  void warn_of_splits_without_pairs();
  void check(const std::vector<std::size_t>& missing);
  std::shared_ptr<const PackedSubject> packed(std::size_t index) const;
  std::shared_ptr<const PackedSubject> from_files(std::size_t index) const;
  void prepare(const std::vector<std::size_t>& missing);
  ArchiveSubject row_of(std::size_t index, const PackedSubject& subject) const;
  void keep_what_is_done();
  std::vector<std::int64_t> collect_label_ids();
  void write();
  void hold_written(std::size_t index, const PackedSubject& subject);
  std::vector<fs::path> write_sheet(const SubjectSheet& sheet) const;
  void require_same_grid(std::size_t index, const PackedSubject& subject);
  void look_at(const ArchiveSubject& row);
  void look_at_pairs();
  PackSummary summary(double seconds) const;

  const DatasetFile& dataset_;
  const PackOptions& options_;
  int threads_;
  PackJob job_;
  std::vector<SourceKey> keys_;
  TwinScans twins_;
  std::optional<PackStore> store_;
  std::optional<ArchiveWriter> writer_;
  std::optional<PairOverlaps> overlaps_;
  std::vector<ArchiveSubject> rows_;  ///< of what is written
  std::size_t reused_ = 0;
  std::vector<std::int64_t> label_ids_;
  Shape3 shape_{};
  Spacing3 spacing_{};
  std::string fingerprint_;
  std::vector<std::string> warnings_;
  std::vector<fs::path> qc_;
};

void Packer::warn(std::string text) {
  if (!text.empty()) {
    warnings_.push_back(std::move(text));
  }
}

void Packer::warn_of_splits_without_pairs() {
  for (const char* split : {"train", "val", "test"}) {
    const auto members = std::count_if(subjects().begin(), subjects().end(), [&](const SubjectEntry& subject) {
      return subject.split == split && !is_atlas(subject, dataset_.options);
    });
    const bool paired = std::any_of(dataset_.pairs.begin(), dataset_.pairs.end(),
                                    [&](const ArchivePair& pair) { return pair.split == split; });
    if (members > 0 && !paired) {
      warn(str("split ", split, ": subjects ", members, ", and no pair: see /pairs"));
    }
  }
}

void Packer::require_output() const {
  REGATTA_REQUIRE(options_.replace || options_.update || !fs::exists(options_.output), DataError,
                  options_.output.string(),
                  ": already exists; --update packs again what has changed, --force packs everything again");
  const fs::path folder = fs::absolute(options_.output).parent_path();
  REGATTA_REQUIRE(fs::is_directory(folder), DataError, options_.output.string(), ": there is no folder ",
                  folder.string());
  REGATTA_REQUIRE(options_.deflate >= 0 && options_.deflate <= 9, ConfigError, "--deflate ", options_.deflate,
                  ", 0..9 allowed");
}

void Packer::load_atlas() {
  if (dataset_.options.affine != "to_atlas") {
    return;
  }
  const std::int64_t index = affine_atlas_of(subjects(), dataset_.options);
  const SubjectEntry& subject = subjects()[static_cast<std::size_t>(index)];
  for_subject(subject, [&] {
    PackAtlas atlas;
    atlas.subject = index;
    atlas.volume = read_volume(subject.files.front(), dataset_.options.npz_orientation, subject.frame);
    require_alignable(atlas.volume, threads_);
    atlas.packed = map_to_packed_grid(atlas.volume, job_.preprocess).packed;
    job_.atlas = std::move(atlas);
    return 0;
  });
}

void Packer::find_keys() {
  std::string aligned_to;
  const std::size_t atlas = job_.atlas ? static_cast<std::size_t>(job_.atlas->subject) : subjects().size();
  if (job_.atlas) {
    const std::string image = for_subject(subjects()[atlas], [&] { return key_of(job_, atlas, "").image; });
    aligned_to = str(image, " ", kAlignmentVersion);
  }
  in_order(
      subjects().size(), threads_,
      [&](std::size_t i) {
        return for_subject(subjects()[i], [&] { return key_of(job_, i, i == atlas ? "" : aligned_to); });
      },
      [&](std::size_t i, SourceKey key) {
        warn(twins_.add_files(i, key.image));
        keys_.push_back(std::move(key));
      });
}

/// Headers and label maps of what is not packed yet, before any time goes into packing.
void Packer::check(const std::vector<std::size_t>& missing) {
  if (missing.empty()) {
    return;
  }
  Progress progress("check", static_cast<std::int64_t>(missing.size()), ProgressOptions::for_stderr());
  std::set<std::int32_t> values;
  std::vector<std::string> unplaced;
  in_order(
      missing.size(), threads_,
      [&](std::size_t i) {
        const SubjectEntry& subject = subjects()[missing[i]];
        return for_subject(subject, [&] { return check_subject(dataset_, subject); });
      },
      [&](std::size_t i, SubjectCheck found) {
        values.merge(found.label_values);
        if (!found.is_placed) {
          unplaced.push_back(subjects()[missing[i]].id);
        }
        progress.update(static_cast<std::int64_t>(i) + 1, subjects()[missing[i]].id);
      });
  progress.finish();
  require_few_labels(values);
  if (!unplaced.empty()) {
    warnings_.push_back(str(unplaced.size(), " scans without sform and qform ('", unplaced.front(),
                            "' is the first) are taken as RAS: which side is left is not known"));
  }
}

/// From the store, else from its files.
std::shared_ptr<const PackedSubject> Packer::packed(std::size_t index) const {
  if (store_->has(keys_[index].key)) {
    try {
      return store_->load(keys_[index].key);
    } catch (const DataError& error) {
      log_warning(error.what(), ": '", subjects()[index].id, "' is packed from its files");
    }
  }
  return from_files(index);
}

std::shared_ptr<const PackedSubject> Packer::from_files(std::size_t index) const {
  return for_subject(subjects()[index], [&] {
    std::shared_ptr<PackedSubject> subject = prepare_subject(job_, index, 1);
    subject->row.source_key = keys_[index].key;
    return subject;
  });
}

void Packer::prepare(const std::vector<std::size_t>& missing) {
  if (missing.empty()) {
    return;
  }
  Progress progress("pack", static_cast<std::int64_t>(missing.size()), ProgressOptions::for_stderr());
  in_order(
      missing.size(), threads_, [&](std::size_t i) { return packed(missing[i]); },
      [&](std::size_t i, const std::shared_ptr<const PackedSubject>& subject) {
        store_->add(subject);
        progress.update(static_cast<std::int64_t>(i) + 1, subjects()[missing[i]].id);
      });
  progress.finish();
}

/// On the way out after an error, which is the one to be told.
void Packer::keep_what_is_done() {
  try {
    store_->keep();
  } catch (const Error& error) {
    log_warning(error.what());
  }
  if (store_->kept() > 0) {
    log_info(store_->kept(), " subjects are kept in ", options_.output.string(),
             ".part: the same command continues with them");
  }
}

/// A packed subject's row with what the data set file says of it; the voxels stay where they are.
ArchiveSubject Packer::row_of(std::size_t index, const PackedSubject& subject) const {
  const SubjectEntry& entry = subjects()[index];
  ArchiveSubject row = subject.row;
  row.id = entry.id;
  row.split = entry.split;
  row.group = entry.group;
  row.frame = entry.frame;
  row.image_source = fs::path(entry.files.front()).filename().string();
  return row;
}

/// Background first, then the others in rising order.
std::vector<std::int64_t> Packer::collect_label_ids() {
  std::set<std::int32_t> values;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    std::vector<std::int32_t> found;
    try {
      found = store_->label_values(keys_[i].key);
    } catch (const DataError& error) {
      log_warning(error.what(), ": '", subjects()[i].id, "' is packed from its files");
      store_->forget_earlier(keys_[i].key);
      store_->add(from_files(i));
      found = store_->label_values(keys_[i].key);
    }
    values.insert(found.begin(), found.end());
  }
  require_few_labels(values);
  std::vector<std::int64_t> ids = {0};
  ids.insert(ids.end(), values.begin(), values.end());
  return ids;
}

void Packer::require_same_grid(std::size_t index, const PackedSubject& subject) {
  const Spacing3 spacing = spacing_of(subject.row.affine);
  const bool aligned = job_.atlas.has_value();
  if (index == 0) {
    shape_ = subject.shape;
    spacing_ = aligned ? spacing_of(job_.atlas->packed.affine) : spacing;
  }
  const SubjectEntry& first = subjects().front();
  REGATTA_REQUIRE(subject.shape == shape_, DataError, "shape ", shape_text(subject.shape), ", '", first.id, "' has ",
                  shape_text(shape_), ": give /preprocess/shape");
  for (std::size_t axis = 0; axis < 3 && !aligned; ++axis) {
    REGATTA_REQUIRE(std::abs(spacing[axis] / spacing_[axis] - 1.0) <= 1e-2, DataError, "spacing ",
                    spacing_text(spacing), " mm, '", first.id, "' has ", spacing_text(spacing_),
                    ": give /preprocess/spacing_mm");
  }
}

/// Notes what a person should look at.
void Packer::look_at(const ArchiveSubject& row) {
  if (std::isfinite(row.affine_ncc)) {
    const std::string doubt = alignment_doubt(row.affine_ncc, row.atlas_to_subject);
    warn(doubt.empty() ? doubt : str("'", row.id, "': its alignment to the atlas is doubtful: ", doubt));
  }
  warn(outside_text(str("'", row.id, "'"), row.keypoints, shape_));
}

/// Pairs that are put wrongly, with the option that would help, and what centring does to scans of a group.
void Packer::look_at_pairs() {
  if (const std::string doubt = overlaps_->doubt(rows_, dataset_.pairs); !doubt.empty()) {
    warn(str(doubt, ": ", help_for_place(job_.preprocess)));
  }
  if (job_.preprocess.place == "centre") {
    warn(centred_groups(dataset_, rows_, shape_));
  }
}

/// A subject that was written as soon as it was packed lies in the unfinished archive only: the store takes it from
/// there, should this pack not come to its end.
void Packer::hold_written(std::size_t index, const PackedSubject& subject) {
  if (store_->has(subject.row.source_key)) {
    return;
  }
  PackedSubject rest;  // all but the volumes
  rest.row = subject.row;
  rest.shape = subject.shape;
  rest.label_values = subject.label_values;
  const std::size_t images = subject.images.size();
  const std::size_t mask = subject.mask.size();
  store_->add(subject.row.source_key, images + mask, [this, index, rest, images, mask] {
    auto again = std::make_shared<PackedSubject>(rest);
    again->images.resize(images);
    again->mask.resize(mask);
    writer_->read(index, again->images, again->mask);
    return again;
  });
}

void Packer::write() {
  std::optional<SubjectSheet> sheet;
  const std::size_t every = (subjects().size() + kMostTiles - 1) / kMostTiles;
  const bool all_packed =
      std::all_of(keys_.begin(), keys_.end(), [this](const SourceKey& key) { return store_->has(key.key); });
  Progress progress(all_packed ? "write" : "pack", static_cast<std::int64_t>(subjects().size()),
                    ProgressOptions::for_stderr());
  const auto write_one = [&](std::size_t i, const std::shared_ptr<const PackedSubject>& packed) {
    const PackedSubject& subject = *packed;
    const ArchiveSubject row = row_of(i, subject);
    for_subject(subjects()[i], [&] {
      require_same_grid(i, subject);
      return 0;
    });
    look_at(row);
    if (!writer_) {
      ArchiveHeader header;
      header.name = dataset_.options.name;
      header.shape = shape_;
      header.spacing = spacing_;
      header.orientation = job_.preprocess.orientation;
      header.type = job_.preprocess.type == "uint8" ? VoxelType::kUint8 : VoxelType::kFloat32;
      header.subjects = static_cast<std::int64_t>(subjects().size());
      header.modalities = job_.modalities();
      header.label_ids = label_ids_;
      header.masks = std::any_of(subjects().begin(), subjects().end(), [](const auto& s) { return !s.mask.empty(); });
      // Spacing too, so that a new scan of another spacing is brought to that of the training data.
      PreprocessOptions stored = job_.preprocess;
      stored.spacing_mm.assign(spacing_.begin(), spacing_.end());
      header.preprocessing = dump_line(write_options(stored));
      header.deflate = options_.deflate;
      header.threads = threads_;
      writer_.emplace(options_.output, std::move(header));
      sheet.emplace(shape_, spacing_, job_.preprocess.orientation);
      overlaps_.emplace(shape_, spacing_);
    }
    std::array<std::uint8_t, 256> index_of{};
    for (std::size_t value = 0; value < subject.label_values.size(); ++value) {
      const auto at = std::find(label_ids_.begin(), label_ids_.end(), subject.label_values[value]);
      index_of[value] = static_cast<std::uint8_t>(at - label_ids_.begin());
    }
    std::vector<std::uint8_t> labels(subject.labels.size());
    std::transform(subject.labels.begin(), subject.labels.end(), labels.begin(),
                   [&index_of](std::uint8_t index) { return index_of[index]; });
    warn(twins_.add_voxels(i, writer_->add(row, subject.images, labels, subject.mask).front()));
    hold_written(i, subject);
    overlaps_->add(row, shown_image(subject));
    rows_.push_back(row);
    if (i % every == 0) {
      sheet->add(str(row.id, "  ", row.split), shown_image(subject), labels);
    }
    progress.update(static_cast<std::int64_t>(i) + 1, row.id);
  };
  in_order(
      subjects().size(), threads_, [&](std::size_t i) { return packed(i); }, write_one);
  progress.finish();
  look_at_pairs();
  writer_->set_pairs(pairs_with_keypoints(dataset_, rows_, shape_, warnings_));
  auto pictures = std::async(std::launch::async, [&] { return write_sheet(*sheet); });
  writer_->sync();
  qc_ = pictures.get();
  fingerprint_ = writer_->finish();
}

std::vector<fs::path> Packer::write_sheet(const SubjectSheet& sheet) const {
  const std::size_t tiles = std::min(subjects().size(), kMostTiles);
  const fs::path qc =
      options_.qc.empty() ? fs::path(options_.output).replace_extension().concat("_qc.png") : options_.qc;
  const std::string name = dataset_.options.name.empty() ? options_.output.filename().string() : dataset_.options.name;
  return sheet.write(qc,
                     str(name, ": ", subjects().size(), " subjects, ", shape_text(shape_), ", ", spacing_text(spacing_),
                         " mm", tiles < subjects().size() ? ", some of them shown" : ""),
                     threads_);
}

PackSummary Packer::summary(double seconds) const {
  PackSummary out;
  out.subjects = static_cast<std::int64_t>(subjects().size());
  for (const SubjectEntry& subject : subjects()) {
    ++out.split_subjects[subject.split];
    out.labelled += subject.labels.empty() ? 0 : 1;
    out.masked += subject.mask.empty() ? 0 : 1;
    out.with_keypoints += subject.keypoints.empty() ? 0 : 1;
  }
  for (const ArchivePair& pair : dataset_.pairs) {
    ++out.split_pairs[pair.split];
    out.pairs_with_keypoints += dataset_.keypoint_files(pair) ? 1 : 0;
  }
  out.reused = static_cast<std::int64_t>(reused_);
  out.shape = shape_;
  out.spacing = spacing_;
  out.orientation = job_.preprocess.orientation;
  out.type = job_.preprocess.type == "uint8" ? VoxelType::kUint8 : VoxelType::kFloat32;
  out.modalities = job_.modalities();
  out.labels = label_ids_.empty() ? 0 : label_ids_.size() - 1;
  out.bytes = fs::file_size(options_.output);
  out.seconds = seconds;
  out.fingerprint = fingerprint_;
  out.qc = qc_;
  out.warnings = warnings_;
  return out;
}

PackSummary Packer::run() {
  const double start_s = system_clock().monotonic_s();
  require_output();
  job_.dataset = &dataset_;
  job_.preprocess = for_subject(subjects().front(), [&] { return settle_options(dataset_); });
  load_atlas();
  if (job_.preprocess.place == "physical") {
    job_.shared_grids = shared_grids(dataset_, job_.preprocess, threads_);
  }
  find_keys();
  store_.emplace(fs::path(options_.output.string() + ".part"),
                 options_.update ? std::optional(options_.output) : std::nullopt);
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < subjects().size(); ++i) {
    if (!store_->has(keys_[i].key)) {
      missing.push_back(i);
    }
  }
  reused_ = subjects().size() - missing.size();
  warn_of_splits_without_pairs();
  require_keypoint_pairs(dataset_);
  check(missing);
  try {
    const bool labelled =
        std::any_of(subjects().begin(), subjects().end(), [](const auto& s) { return !s.labels.empty(); });
    if (labelled) {  // which values there are is known when all are packed; else each is written as it comes
      prepare(missing);
      label_ids_ = collect_label_ids();
    }
    write();
    warn(job_.rounded->text());
  } catch (const Error&) {
    keep_what_is_done();
    throw;
  }
  store_->remove();
  return summary(system_clock().monotonic_s() - start_s);
}

}  // namespace

PackSummary pack_dataset(const DatasetFile& dataset, const PackOptions& options) {
  return Packer(dataset, options).run();
}

}  // namespace regatta
