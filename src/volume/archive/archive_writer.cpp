#include "regatta/volume/archive_writer.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/version.hpp"
#include "volume/archive/archive_layout.hpp"
#include "volume/archive/h5.hpp"
#include "volume/archive/volume_chunk.hpp"

namespace regatta {
namespace {

std::size_t voxel_bytes(VoxelType type) {
  return type == VoxelType::kUint8 ? 1 : 4;
}

hid_t h5_type(VoxelType type) {
  return type == VoxelType::kUint8 ? h5::type_id<std::uint8_t>() : h5::type_id<float>();
}

/// [N, ...] with one volume per chunk.
h5::Handle create_volumes(hid_t file, const char* name, hid_t type, const h5::Dims& dims, int deflate,
                          const std::string& source) {
  h5::Dims chunk = dims;
  std::fill(chunk.begin(), chunk.end() - 3, 1);
  const h5::Handle space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose);
  const h5::Handle plist(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  REGATTA_H5(H5Pset_chunk(plist.id(), static_cast<int>(chunk.size()), chunk.data()), source,
             str("set the chunk of ", name));
  if (deflate > 0) {
    REGATTA_H5(H5Pset_shuffle(plist.id()), source, "set the shuffle filter");
    REGATTA_H5(H5Pset_deflate(plist.id(), static_cast<unsigned>(deflate)), source, "set the deflate filter");
  }
  return {REGATTA_H5(H5Dcreate2(file, name, type, space.id(), H5P_DEFAULT, plist.id(), H5P_DEFAULT), source,
                     str("make the dataset ", name)),
          H5Dclose};
}

template <class Row, class Member>
auto column(const std::vector<Row>& rows, Member member) {
  std::vector<std::decay_t<decltype(member(rows.front()))>> out;
  out.reserve(rows.size());
  for (const Row& row : rows) {
    out.push_back(member(row));
  }
  return out;
}

}  // namespace

std::string fingerprint_of(const ArchiveContents& contents) {
  Json table;
  table["shape"] = contents.shape;
  table["spacing"] = contents.spacing;
  table["type"] = contents.type == VoxelType::kUint8 ? "uint8" : "float32";
  table["modalities"] = contents.modalities;
  table["label_ids"] = contents.label_ids;
  table["subjects"] = Json::array();
  for (std::size_t i = 0; i < contents.subjects.size(); ++i) {
    const ArchiveSubject& s = contents.subjects[i];
    const std::size_t c = contents.modalities.size();
    const auto images = contents.image_checksums.begin() + static_cast<std::ptrdiff_t>(i * c);
    table["subjects"].push_back({s.id, s.split, s.affine, s.has_labels,
                                 std::vector(images, images + static_cast<std::ptrdiff_t>(c)),
                                 contents.label_checksums[i], contents.mask_checksums[i], s.keypoints});
  }
  table["pairs"] = Json::array();
  for (const ArchivePair& p : contents.pairs) {
    Json row = {p.split, p.moving, p.fixed};
    if (p.keypoints) {
      row.push_back({p.keypoints->moving, p.keypoints->fixed});
    }
    table["pairs"].push_back(std::move(row));
  }
  return hash_json(table);
}

std::string tables_checksum_of(const ArchiveContents& contents) {
  Json rest = {{"fingerprint", fingerprint_of(contents)}, {"name", contents.name},
               {"orientation", contents.orientation},     {"image_scale", contents.image_scale},
               {"preprocessing", contents.preprocessing}, {"subjects", Json::array()}};
  for (const ArchiveSubject& s : contents.subjects) {
    Json ranges = Json::array();
    for (const IntensityRange& range : s.intensity) {
      ranges.push_back({number_to_json(range.low), number_to_json(range.high)});
    }
    rest["subjects"].push_back({s.group, s.frame, s.image_source, s.source_key, s.original_affine, s.original_shape,
                                ranges, s.atlas_to_subject, number_to_json(s.affine_ncc)});
  }
  return hash_json(rest);
}

struct ArchiveWriter::Impl {
  Impl(const std::filesystem::path& path, ArchiveHeader given)
      : source(path.string()), header(std::move(given)), file_on_disk(path) {}

  std::string source;
  ArchiveHeader header;
  AtomicFile file_on_disk;  // declared before the handles: they close before it is removed
  h5::Handle file;
  h5::Handle images;
  h5::Handle labels;
  h5::Handle masks;
  ArchiveContents contents;
  std::string fingerprint;  ///< once the tables are written

  void create();
  void write_volume(const h5::Handle& set, const h5::Dims& start, std::size_t value_bytes,
                    std::span<const std::byte> values) const;
  void write_tables();
  void write_pairs();
};

void ArchiveWriter::Impl::create() {
  const auto n = static_cast<hsize_t>(header.subjects);
  const auto d = static_cast<hsize_t>(header.shape[0]);
  const auto h = static_cast<hsize_t>(header.shape[1]);
  const auto w = static_cast<hsize_t>(header.shape[2]);
  // 1.10 objects: every HDF5 that a cluster still has can read them.
  const h5::Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_libver_bounds(access.id(), H5F_LIBVER_EARLIEST, H5F_LIBVER_V110);
  file = {REGATTA_H5(H5Fcreate(file_on_disk.temporary_path().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()), source,
                     "make the file"),
          H5Fclose};
  images = create_volumes(file.id(), layout::kImages, h5_type(header.type), {n, header.modalities.size(), d, h, w},
                          header.deflate, source);
  if (!header.label_ids.empty()) {
    labels =
        create_volumes(file.id(), layout::kLabels, h5::type_id<std::uint8_t>(), {n, d, h, w}, header.deflate, source);
    h5::write_numbers(file.id(), layout::kLabelIds, h5::type_id<std::int64_t>(), {header.label_ids.size()},
                      header.label_ids.data(), source);
  }
  if (header.masks) {
    masks =
        create_volumes(file.id(), layout::kMasks, h5::type_id<std::uint8_t>(), {n, d, h, w}, header.deflate, source);
  }
  h5::write_strings(file.id(), layout::kModalities, header.modalities, source);
}

void ArchiveWriter::Impl::write_volume(const h5::Handle& set, const h5::Dims& start, std::size_t value_bytes,
                                       std::span<const std::byte> values) const {
  std::vector<std::byte> deflated;
  if (header.deflate > 0) {
    deflated = h5::deflate_volume(values, value_bytes, header.deflate, header.threads);
  }
  const std::lock_guard lock(h5::library_mutex());
  h5::quiet();
  h5::write_volume_chunk(set.id(), start, values, deflated, source);
}

void ArchiveWriter::Impl::write_tables() {
  const auto& rows = contents.subjects;
  const hsize_t n = rows.size();
  const h5::Handle group = h5::create_group(file.id(), layout::kSubjects, source);
  const auto strings = [&](const char* name, auto member) {
    h5::write_strings(group.id(), name, column(rows, member), source);
  };
  strings(layout::kId, [](const ArchiveSubject& s) { return s.id; });
  strings(layout::kSplit, [](const ArchiveSubject& s) { return s.split; });
  strings(layout::kGroup, [](const ArchiveSubject& s) { return s.group; });
  strings(layout::kImageSource, [](const ArchiveSubject& s) { return s.image_source; });
  strings(layout::kSourceKey, [](const ArchiveSubject& s) { return s.source_key; });
  const auto numbers = [&](const char* name, hid_t type, const h5::Dims& dims, const void* data) {
    h5::write_numbers(group.id(), name, type, dims, data, source);
  };
  const auto affines = column(rows, [](const ArchiveSubject& s) { return s.affine; });
  const auto originals = column(rows, [](const ArchiveSubject& s) { return s.original_affine; });
  const auto shapes = column(rows, [](const ArchiveSubject& s) { return s.original_shape; });
  const auto frames = column(rows, [](const ArchiveSubject& s) { return s.frame; });
  const auto alignments = column(rows, [](const ArchiveSubject& s) { return s.atlas_to_subject; });
  const auto correlations = column(rows, [](const ArchiveSubject& s) { return s.affine_ncc; });
  const auto labelled = column(rows, [](const ArchiveSubject& s) { return std::uint8_t{s.has_labels}; });
  const auto masked = column(rows, [](const ArchiveSubject& s) { return std::uint8_t{s.has_mask}; });
  std::vector<IntensityRange> ranges;
  std::vector<Point3> keypoints;
  std::vector<std::int64_t> ends;
  for (const ArchiveSubject& row : rows) {
    ranges.insert(ranges.end(), row.intensity.begin(), row.intensity.end());
    keypoints.insert(keypoints.end(), row.keypoints.begin(), row.keypoints.end());
    ends.push_back(static_cast<std::int64_t>(keypoints.size()));
  }
  const hsize_t c = contents.modalities.size();
  numbers(layout::kAffine, h5::type_id<double>(), {n, 4, 4}, affines.data());
  numbers(layout::kOriginalAffine, h5::type_id<double>(), {n, 4, 4}, originals.data());
  numbers(layout::kOriginalShape, h5::type_id<std::int64_t>(), {n, 3}, shapes.data());
  numbers(layout::kFrame, h5::type_id<std::int64_t>(), {n}, frames.data());
  numbers(layout::kIntensity, h5::type_id<double>(), {n, c, 2}, ranges.data());
  numbers(layout::kAtlasToSubject, h5::type_id<double>(), {n, 4, 4}, alignments.data());
  numbers(layout::kAffineNcc, h5::type_id<double>(), {n}, correlations.data());
  numbers(layout::kHasLabels, h5::type_id<std::uint8_t>(), {n}, labelled.data());
  numbers(layout::kHasMask, h5::type_id<std::uint8_t>(), {n}, masked.data());
  numbers(layout::kKeypointEnds, h5::type_id<std::int64_t>(), {n}, ends.data());
  numbers(layout::kImageChecksum, h5::type_id<std::uint64_t>(), {n, c}, contents.image_checksums.data());
  numbers(layout::kLabelChecksum, h5::type_id<std::uint64_t>(), {n}, contents.label_checksums.data());
  numbers(layout::kMaskChecksum, h5::type_id<std::uint64_t>(), {n}, contents.mask_checksums.data());
  if (!keypoints.empty()) {
    h5::write_numbers(file.id(), layout::kKeypoints, h5::type_id<double>(), {keypoints.size(), 3}, keypoints.data(),
                      source);
  }

  write_pairs();

  const auto attribute = [&](const char* name, const std::string& value) {
    h5::write_attribute(file.id(), name, value, source);
  };
  attribute(layout::kFormat, layout::kFormatName);
  h5::write_attribute(file.id(), layout::kSchemaName, h5::type_id<std::int32_t>(), 1, &layout::kSchema, source);
  attribute(layout::kName, header.name);
  attribute(layout::kMadeBy, "regatta " + build_id());
  attribute(layout::kOrientation, header.orientation);
  h5::write_attribute(file.id(), layout::kSpacing, h5::type_id<double>(), 3, header.spacing.data(), source);
  h5::write_attribute(file.id(), layout::kImageScale, h5::type_id<double>(), 1, &contents.image_scale, source);
  attribute(layout::kPreprocessing, header.preprocessing);
}

void ArchiveWriter::Impl::write_pairs() {
  const h5::Handle pairs = h5::create_group(file.id(), layout::kPairs, source);
  const hsize_t p = contents.pairs.size();
  const auto moving = column(contents.pairs, [](const ArchivePair& pair) { return pair.moving; });
  const auto fixed = column(contents.pairs, [](const ArchivePair& pair) { return pair.fixed; });
  h5::write_strings(pairs.id(), layout::kSplit,
                    column(contents.pairs, [](const ArchivePair& pair) { return pair.split; }), source);
  h5::write_numbers(pairs.id(), layout::kMoving, h5::type_id<std::int64_t>(), {p}, moving.data(), source);
  h5::write_numbers(pairs.id(), layout::kFixed, h5::type_id<std::int64_t>(), {p}, fixed.data(), source);
  PairKeypoints all;
  std::vector<std::int64_t> ends;
  for (const ArchivePair& pair : contents.pairs) {
    if (pair.keypoints) {
      all.moving.insert(all.moving.end(), pair.keypoints->moving.begin(), pair.keypoints->moving.end());
      all.fixed.insert(all.fixed.end(), pair.keypoints->fixed.begin(), pair.keypoints->fixed.end());
    }
    ends.push_back(static_cast<std::int64_t>(all.moving.size()));
  }
  if (!all.moving.empty()) {
    const h5::Dims dims = {all.moving.size(), 3};
    h5::write_numbers(pairs.id(), layout::kPairKeypointEnds, h5::type_id<std::int64_t>(), {p}, ends.data(), source);
    h5::write_numbers(pairs.id(), layout::kMovingKeypoints, h5::type_id<double>(), dims, all.moving.data(), source);
    h5::write_numbers(pairs.id(), layout::kFixedKeypoints, h5::type_id<double>(), dims, all.fixed.data(), source);
  }
}

ArchiveWriter::ArchiveWriter(const std::filesystem::path& path, ArchiveHeader header) {
  const std::string source = path.string();
  REGATTA_REQUIRE(header.subjects >= 1 && header.subjects <= layout::kMostSubjects, DataError, source, ": ",
                  header.subjects, " subjects, 1..", layout::kMostSubjects, " allowed");
  for (const std::int64_t n : header.shape) {
    REGATTA_REQUIRE(n >= 1 && n <= 4096, DataError, source, ": shape ", shape_text(header.shape),
                    ", 1..4096 along each axis allowed");
  }
  REGATTA_REQUIRE(voxel_count(header.shape) * 4 < (std::int64_t{1} << 32), DataError, source, ": shape ",
                  shape_text(header.shape), ": a volume must be smaller than 4 GiB");
  REGATTA_REQUIRE(!header.modalities.empty() && header.modalities.size() <= layout::kMostModalities, DataError, source,
                  ": ", header.modalities.size(), " modalities, 1..", layout::kMostModalities, " allowed");
  REGATTA_REQUIRE(header.label_ids.size() <= 256, DataError, source, ": ", header.label_ids.size(),
                  " label values with the background, at most 256 allowed: merge some (labels.merge)");
  REGATTA_REQUIRE(header.label_ids.empty() || header.label_ids.front() == 0, BugError, source,
                  ": label_ids[0] must be 0");
  const std::lock_guard lock(h5::library_mutex());
  h5::quiet();
  impl_ = std::make_unique<Impl>(path, std::move(header));
  impl_->contents.shape = impl_->header.shape;
  impl_->contents.spacing = impl_->header.spacing;
  impl_->contents.type = impl_->header.type;
  impl_->contents.modalities = impl_->header.modalities;
  impl_->contents.label_ids = impl_->header.label_ids;
  impl_->contents.name = impl_->header.name;
  impl_->contents.orientation = impl_->header.orientation;
  impl_->contents.image_scale = impl_->header.type == VoxelType::kUint8 ? 1.0 / 255.0 : 1.0;
  impl_->contents.preprocessing = parse_json(impl_->header.preprocessing, source + ": preprocessing");
  impl_->create();
}

ArchiveWriter::~ArchiveWriter() {
  const std::lock_guard lock(h5::library_mutex());
  impl_.reset();
}

std::vector<std::uint64_t> ArchiveWriter::add(ArchiveSubject subject, std::span<const std::byte> images,
                                              std::span<const std::uint8_t> labels,
                                              std::span<const std::uint8_t> mask) {
  Impl& s = *impl_;
  const auto voxels = static_cast<std::size_t>(voxel_count(s.header.shape));
  const std::size_t image_bytes = voxels * voxel_bytes(s.header.type);
  const std::size_t modalities = s.header.modalities.size();
  const std::size_t index = s.contents.subjects.size();
  REGATTA_REQUIRE(index < static_cast<std::size_t>(s.header.subjects), BugError, s.source, ": more subjects than said");
  REGATTA_REQUIRE(images.size() == modalities * image_bytes && subject.intensity.size() == modalities, BugError,
                  s.source, ": ", subject.id, ": ", images.size(), " bytes of images");
  REGATTA_REQUIRE(labels.empty() || (labels.size() == voxels && !s.header.label_ids.empty()), BugError, s.source, ": ",
                  subject.id, ": ", labels.size(), " labels");
  REGATTA_REQUIRE(mask.empty() || (mask.size() == voxels && s.header.masks), BugError, s.source, ": ", subject.id, ": ",
                  mask.size(), " voxels of a mask");
  subject.has_labels = !labels.empty();
  subject.has_mask = !mask.empty();
  if (subject.group.empty()) {
    subject.group = subject.id;
  }
  REGATTA_REQUIRE(labels.empty() || *std::max_element(labels.begin(), labels.end()) < s.header.label_ids.size(),
                  BugError, s.source, ": ", subject.id, ": label outside the value map");
  std::vector<std::uint64_t> image_checksums;
  for (std::size_t modality = 0; modality < modalities; ++modality) {
    const std::span<const std::byte> image = images.subspan(modality * image_bytes, image_bytes);
    s.write_volume(s.images, {index, modality, 0, 0, 0}, voxel_bytes(s.header.type), image);
    image_checksums.push_back(xxh3(image.data(), image.size()));
  }
  if (subject.has_labels) {
    s.write_volume(s.labels, {index, 0, 0, 0}, 1, std::as_bytes(labels));
  }
  if (subject.has_mask) {
    s.write_volume(s.masks, {index, 0, 0, 0}, 1, std::as_bytes(mask));
  }
  const std::uint64_t label_checksum = subject.has_labels ? xxh3(labels.data(), labels.size()) : 0;
  const std::uint64_t mask_checksum = subject.has_mask ? xxh3(mask.data(), mask.size()) : 0;
  {
    const std::lock_guard lock(h5::library_mutex());  // another thread may be reading back what is there
    s.contents.image_checksums.insert(s.contents.image_checksums.end(), image_checksums.begin(), image_checksums.end());
    s.contents.label_checksums.push_back(label_checksum);
    s.contents.mask_checksums.push_back(mask_checksum);
    s.contents.subjects.push_back(std::move(subject));
  }
  s.file_on_disk.begin_sync();
  return image_checksums;
}

void ArchiveWriter::set_pairs(std::vector<ArchivePair> pairs) {
  for (const ArchivePair& pair : pairs) {
    REGATTA_REQUIRE(pair.moving >= 0 && pair.moving < impl_->header.subjects && pair.fixed >= 0 &&
                        pair.fixed < impl_->header.subjects,
                    DataError, impl_->source, ": pair (", pair.moving, ", ", pair.fixed, "), subjects 0..",
                    impl_->header.subjects - 1);
    REGATTA_REQUIRE(!pair.keypoints || (!pair.keypoints->moving.empty() &&
                                        pair.keypoints->moving.size() == pair.keypoints->fixed.size()),
                    BugError, impl_->source, ": key-points of pair (", pair.moving, ", ", pair.fixed, ")");
  }
  impl_->contents.pairs = std::move(pairs);
}

void ArchiveWriter::read(std::size_t subject, std::span<std::byte> images, std::span<std::uint8_t> mask) const {
  const Impl& s = *impl_;
  const std::size_t image_bytes = images.size() / s.header.modalities.size();
  const std::lock_guard lock(h5::library_mutex());
  h5::quiet();
  const std::string label = str("read '", s.contents.subjects.at(subject).id, "' back");
  for (std::size_t modality = 0; modality < s.header.modalities.size(); ++modality) {
    h5::read_volume_chunk(s.images.id(), {subject, modality, 0, 0, 0}, voxel_bytes(s.header.type),
                          images.subspan(modality * image_bytes, image_bytes), s.source, label);
  }
  if (!mask.empty()) {
    h5::read_volume_chunk(s.masks.id(), {subject, 0, 0, 0}, 1, std::as_writable_bytes(mask), s.source, label);
  }
}

void ArchiveWriter::sync() {
  Impl& s = *impl_;
  REGATTA_REQUIRE(s.contents.subjects.size() == static_cast<std::size_t>(s.header.subjects), BugError, s.source, ": ",
                  s.contents.subjects.size(), " subjects added, ", s.header.subjects, " said");
  const std::lock_guard lock(h5::library_mutex());
  h5::quiet();
  s.write_tables();
  s.fingerprint = fingerprint_of(s.contents);
  h5::write_attribute(s.file.id(), layout::kFingerprint, s.fingerprint, s.source);
  h5::write_attribute(s.file.id(), layout::kTablesChecksum, tables_checksum_of(s.contents), s.source);
  REGATTA_H5(H5Fflush(s.file.id(), H5F_SCOPE_GLOBAL), s.source, "flush");
  s.file_on_disk.sync();
}

std::string ArchiveWriter::finish() {
  Impl& s = *impl_;
  if (s.fingerprint.empty()) {
    sync();
  }
  const std::lock_guard lock(h5::library_mutex());
  h5::quiet();
  s.images.reset();
  s.labels.reset();
  s.masks.reset();
  s.file.reset();
  s.file_on_disk.commit();
  return s.fingerprint;
}

}  // namespace regatta
