#include "regatta/volume/archive.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "volume/archive/archive_layout.hpp"
#include "volume/archive/h5.hpp"
#include "volume/archive/volume_chunk.hpp"

namespace regatta {
namespace {

/// Strings that go into messages and names of files. @throws DataError for control characters
std::vector<std::string> read_names(hid_t parent, const char* name, std::size_t count, const std::string& source) {
  std::vector<std::string> names = h5::read_strings(parent, name, count, source);
  for (const std::string& each : names) {
    REGATTA_REQUIRE(one_line(each, each.size()) == each, DataError, source, ": ", name, ": '", one_line(each, 60),
                    "': control characters, a name expected");
  }
  return names;
}

}  // namespace

struct Archive::Impl {
  std::filesystem::path path;
  std::string source;
  std::string name;
  std::string made_by;
  std::string fingerprint;
  std::string tables_checksum;  ///< "": of an archive from before there was one
  ArchiveContents contents;
  h5::Handle file;
  h5::Handle images;
  h5::Handle labels;
  h5::Handle masks;
  bool keypoints = false;  ///< of subjects or of pairs

  void read_attributes();
  void open_volumes();
  void read_subjects();
  void read_pairs();
  void read_pair_keypoints(hid_t pairs);
  std::vector<Point3> read_points(hid_t parent, const char* name) const;
  void read_keypoints(hid_t subjects);
  h5::Handle open_companion(const char* set_name, const h5::Dims& of_images) const;
  void read_volume(const h5::Handle& set, std::int64_t subject, std::size_t modality, std::size_t value_bytes,
                   std::span<std::byte> out, std::uint64_t checksum, const char* what) const;
  std::size_t count() const { return contents.subjects.size(); }
};

void Archive::Impl::read_attributes() {
  REGATTA_REQUIRE(H5Aexists(file.id(), layout::kFormat) > 0 &&
                      h5::read_string_attribute(file.id(), layout::kFormat, source) == layout::kFormatName,
                  DataError, source, ": an HDF5 file, but no archive of `regatta pack`");
  std::int32_t schema = 0;
  h5::read_attribute(file.id(), layout::kSchemaName, H5T_NATIVE_INT32, 1, &schema, source);
  REGATTA_REQUIRE(schema == layout::kSchema, DataError, source, ": archive schema ", schema, ", this program reads ",
                  layout::kSchema, ": pack again");
  contents.name = h5::read_string_attribute(file.id(), layout::kName, source);
  name = one_line(contents.name);
  made_by = one_line(h5::read_string_attribute(file.id(), layout::kMadeBy, source));
  contents.orientation = h5::read_string_attribute(file.id(), layout::kOrientation, source);
  fingerprint = h5::read_string_attribute(file.id(), layout::kFingerprint, source);
  if (H5Aexists(file.id(), layout::kTablesChecksum) > 0) {
    tables_checksum = h5::read_string_attribute(file.id(), layout::kTablesChecksum, source);
  }
  h5::read_attribute(file.id(), layout::kSpacing, H5T_NATIVE_DOUBLE, 3, contents.spacing.data(), source);
  h5::read_attribute(file.id(), layout::kImageScale, H5T_NATIVE_DOUBLE, 1, &contents.image_scale, source);
  REGATTA_REQUIRE(is_orientation(contents.orientation), DataError, source, ": orientation '",
                  one_line(contents.orientation, 20), "', one of the 48 codes such as RAS expected");
  for (const double value : {contents.spacing[0], contents.spacing[1], contents.spacing[2], contents.image_scale}) {
    REGATTA_REQUIRE(std::isfinite(value) && value > 0.0, DataError, source, ": spacing_mm or image_scale ", value,
                    ", positive numbers expected");
  }
  try {
    contents.preprocessing =
        parse_json(h5::read_string_attribute(file.id(), layout::kPreprocessing, source), source + ": preprocessing");
  } catch (const ConfigError& error) {
    throw DataError(error.what());
  }
}

/// Labels or masks, which have the images' shape. @param of_images  [N, C, D, H, W]
h5::Handle Archive::Impl::open_companion(const char* set_name, const h5::Dims& of_images) const {
  h5::Handle set = h5::open_dataset(file.id(), set_name, source);
  const h5::Dims dims = h5::dims_of(set.id(), source);
  REGATTA_REQUIRE((dims == h5::Dims{of_images[0], of_images[2], of_images[3], of_images[4]}), DataError, source, ": ",
                  set_name, ": shape [", join(dims, ","), "], images have [", join(of_images, ","), "]");
  h5::require_volume_chunks(set.id(), {1, dims[1], dims[2], dims[3]}, 1, set_name, source);
  const h5::Handle type(H5Dget_type(set.id()), H5Tclose);
  REGATTA_REQUIRE(H5Tequal(type.id(), h5::type_id<std::uint8_t>()) > 0, DataError, source, ": ", set_name,
                  ": unexpected type, uint8 expected");
  return set;
}

void Archive::Impl::open_volumes() {
  images = h5::open_dataset(file.id(), layout::kImages, source);
  const h5::Dims dims = h5::dims_of(images.id(), source);
  REGATTA_REQUIRE(dims.size() == 5 && dims[0] >= 1 && dims[0] <= static_cast<hsize_t>(layout::kMostSubjects) &&
                      dims[1] >= 1 && dims[1] <= layout::kMostModalities && dims[2] * dims[3] * dims[4] > 0 &&
                      dims[2] <= 4096 && dims[3] <= 4096 && dims[4] <= 4096,
                  DataError, source, ": images: shape [", join(dims, ","), "], [N,C,D,H,W] expected");
  for (std::size_t axis = 0; axis < 3; ++axis) {
    contents.shape[axis] = static_cast<std::int64_t>(dims[axis + 2]);
  }
  const h5::Handle type(H5Dget_type(images.id()), H5Tclose);
  const bool bytes = H5Tequal(type.id(), h5::type_id<std::uint8_t>()) > 0;
  REGATTA_REQUIRE(bytes || H5Tequal(type.id(), h5::type_id<float>()) > 0, DataError, source,
                  ": images: unexpected type, uint8 or float32 expected");
  contents.type = bytes ? VoxelType::kUint8 : VoxelType::kFloat32;
  h5::require_volume_chunks(images.id(), {1, 1, dims[2], dims[3], dims[4]}, bytes ? 1 : 4, layout::kImages, source);
  const std::uint64_t size = h5::file_bytes(file.id(), source);
  REGATTA_REQUIRE(dims[0] <= size / layout::kLeastSubjectBytes, DataError, source, ": images: ", dims[0],
                  " subjects, the file of ", size, " bytes cannot hold their tables");
  contents.subjects.resize(dims[0]);
  contents.modalities = read_names(file.id(), layout::kModalities, dims[1], source);
  if (h5::exists(file.id(), layout::kMasks)) {
    masks = open_companion(layout::kMasks, dims);
  }
  if (h5::exists(file.id(), layout::kLabels)) {
    labels = open_companion(layout::kLabels, dims);
    const h5::Dims ids = h5::dims_of(h5::open_dataset(file.id(), layout::kLabelIds, source).id(), source);
    REGATTA_REQUIRE(ids.size() == 1 && ids[0] >= 1 && ids[0] <= 256, DataError, source, ": label_ids: shape [",
                    join(ids, ","), "], [1..256] expected");
    contents.label_ids.resize(ids[0]);
    h5::read_numbers(file.id(), layout::kLabelIds, H5T_NATIVE_INT64, ids, contents.label_ids.data(), source);
  }
}

void Archive::Impl::read_subjects() {
  const std::size_t n = count();
  const h5::Handle group = h5::open_group(file.id(), layout::kSubjects, source);
  const hid_t at = group.id();
  const auto ids = read_names(at, layout::kId, n, source);
  const auto splits = read_names(at, layout::kSplit, n, source);
  const auto groups = read_names(at, layout::kGroup, n, source);
  const auto sources = read_names(at, layout::kImageSource, n, source);
  const auto keys = read_names(at, layout::kSourceKey, n, source);
  std::vector<Affine> affines(n);
  std::vector<Affine> originals(n);
  std::vector<Shape3> shapes(n);
  const std::size_t c = contents.modalities.size();
  std::vector<std::int64_t> frames(n);
  std::vector<IntensityRange> ranges(n * c);
  std::vector<Affine> alignments(n);
  std::vector<double> correlations(n);
  std::vector<std::uint8_t> labelled(n);
  std::vector<std::uint8_t> masked(n);
  contents.image_checksums.resize(n * c);
  contents.label_checksums.resize(n);
  contents.mask_checksums.resize(n);
  h5::read_numbers(at, layout::kAffine, H5T_NATIVE_DOUBLE, {n, 4, 4}, affines.data(), source);
  h5::read_numbers(at, layout::kOriginalAffine, H5T_NATIVE_DOUBLE, {n, 4, 4}, originals.data(), source);
  h5::read_numbers(at, layout::kOriginalShape, H5T_NATIVE_INT64, {n, 3}, shapes.data(), source);
  h5::read_numbers(at, layout::kFrame, H5T_NATIVE_INT64, {n}, frames.data(), source);
  h5::read_numbers(at, layout::kIntensity, H5T_NATIVE_DOUBLE, {n, c, 2}, ranges.data(), source);
  h5::read_numbers(at, layout::kAtlasToSubject, H5T_NATIVE_DOUBLE, {n, 4, 4}, alignments.data(), source);
  h5::read_numbers(at, layout::kAffineNcc, H5T_NATIVE_DOUBLE, {n}, correlations.data(), source);
  h5::read_numbers(at, layout::kHasLabels, H5T_NATIVE_UINT8, {n}, labelled.data(), source);
  h5::read_numbers(at, layout::kHasMask, H5T_NATIVE_UINT8, {n}, masked.data(), source);
  h5::read_numbers(at, layout::kImageChecksum, H5T_NATIVE_UINT64, {n, c}, contents.image_checksums.data(), source);
  h5::read_numbers(at, layout::kLabelChecksum, H5T_NATIVE_UINT64, {n}, contents.label_checksums.data(), source);
  h5::read_numbers(at, layout::kMaskChecksum, H5T_NATIVE_UINT64, {n}, contents.mask_checksums.data(), source);
  for (std::size_t i = 0; i < n; ++i) {
    ArchiveSubject& subject = contents.subjects[i];
    subject.id = ids[i];
    subject.split = splits[i];
    subject.group = groups[i];
    subject.frame = frames[i];
    subject.affine = affines[i];
    subject.original_affine = originals[i];
    subject.original_shape = shapes[i];
    subject.image_source = sources[i];
    const auto range = ranges.begin() + static_cast<std::ptrdiff_t>(i * c);
    subject.intensity.assign(range, range + static_cast<std::ptrdiff_t>(c));
    subject.atlas_to_subject = alignments[i];
    subject.affine_ncc = correlations[i];
    subject.source_key = keys[i];
    subject.has_labels = labelled[i] != 0;
    subject.has_mask = masked[i] != 0;
    REGATTA_REQUIRE(is_usable(affines[i]) && is_usable(originals[i]) && is_usable(alignments[i]), DataError, source,
                    ": subject '", ids[i], "': its affine is singular or not finite");
    REGATTA_REQUIRE(!subject.has_labels || labels.id() >= 0, DataError, source, ": subject '", ids[i],
                    "' has labels, the archive has none");
    REGATTA_REQUIRE(!subject.has_mask || masks.id() >= 0, DataError, source, ": subject '", ids[i],
                    "' has a mask, the archive has none");
  }
  read_keypoints(at);
}

void Archive::Impl::read_keypoints(hid_t subjects) {
  std::vector<std::int64_t> ends(count());
  h5::read_numbers(subjects, layout::kKeypointEnds, H5T_NATIVE_INT64, {count()}, ends.data(), source);
  keypoints = h5::exists(file.id(), layout::kKeypoints);
  const std::vector<Point3> points = keypoints ? read_points(file.id(), layout::kKeypoints) : std::vector<Point3>();
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < count(); ++i) {
    REGATTA_REQUIRE(ends[i] >= begin && ends[i] <= static_cast<std::int64_t>(points.size()), DataError, source,
                    ": subjects/keypoint_ends: ", ends[i], " of '", contents.subjects[i].id, "', ", begin, "..",
                    points.size(), " expected");
    contents.subjects[i].keypoints.assign(points.begin() + begin, points.begin() + ends[i]);
    begin = ends[i];
  }
}

std::vector<Point3> Archive::Impl::read_points(hid_t parent, const char* table) const {
  const h5::Dims dims = h5::dims_of(h5::open_dataset(parent, table, source).id(), source);
  REGATTA_REQUIRE(dims.size() == 2 && dims[1] == 3 && dims[0] <= h5::file_bytes(file.id(), source) / sizeof(Point3),
                  DataError, source, ": ", table, ": shape [", join(dims, ","), "], [K,3] expected");
  std::vector<Point3> points(dims[0]);
  h5::read_numbers(parent, table, H5T_NATIVE_DOUBLE, dims, points.data(), source);
  return points;
}

void Archive::Impl::read_pair_keypoints(hid_t pairs) {
  const std::size_t n = contents.pairs.size();
  if (!h5::exists(pairs, layout::kPairKeypointEnds)) {
    return;
  }
  std::vector<std::int64_t> ends(n);
  h5::read_numbers(pairs, layout::kPairKeypointEnds, H5T_NATIVE_INT64, {n}, ends.data(), source);
  const std::vector<Point3> moving = read_points(pairs, layout::kMovingKeypoints);
  const std::vector<Point3> fixed = read_points(pairs, layout::kFixedKeypoints);
  REGATTA_REQUIRE(moving.size() == fixed.size(), DataError, source, ": pairs: ", moving.size(), " moving and ",
                  fixed.size(), " fixed key-points, as many of both expected");
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < n; ++i) {
    REGATTA_REQUIRE(ends[i] >= begin && ends[i] <= static_cast<std::int64_t>(moving.size()), DataError, source,
                    ": pairs/own_keypoint_ends: ", ends[i], " of pair ", i, ", ", begin, "..", moving.size(),
                    " expected");
    if (ends[i] > begin) {
      PairKeypoints own;
      own.moving.assign(moving.begin() + begin, moving.begin() + ends[i]);
      own.fixed.assign(fixed.begin() + begin, fixed.begin() + ends[i]);
      contents.pairs[i].keypoints = std::make_shared<const PairKeypoints>(std::move(own));
      keypoints = true;
    }
    begin = ends[i];
  }
}

void Archive::Impl::read_pairs() {
  const h5::Handle group = h5::open_group(file.id(), layout::kPairs, source);
  const hid_t at = group.id();
  const h5::Dims dims = h5::dims_of(h5::open_dataset(at, layout::kMoving, source).id(), source);
  REGATTA_REQUIRE(dims.size() == 1 && dims[0] <= h5::file_bytes(at, source) / layout::kPairBytes, DataError, source,
                  ": pairs/moving: shape [", join(dims, ","), "], one axis that the file can hold expected");
  const std::size_t n = dims[0];
  const auto splits = read_names(at, layout::kSplit, n, source);
  std::vector<std::int64_t> moving(n);
  std::vector<std::int64_t> fixed(n);
  h5::read_numbers(at, layout::kMoving, H5T_NATIVE_INT64, dims, moving.data(), source);
  h5::read_numbers(at, layout::kFixed, H5T_NATIVE_INT64, dims, fixed.data(), source);
  const auto subjects = static_cast<std::int64_t>(count());
  for (std::size_t i = 0; i < n; ++i) {
    REGATTA_REQUIRE(moving[i] >= 0 && moving[i] < subjects && fixed[i] >= 0 && fixed[i] < subjects, DataError, source,
                    ": pair ", i, ": (", moving[i], ", ", fixed[i], "), subjects 0..", subjects - 1);
    contents.pairs.push_back({splits[i], moving[i], fixed[i]});
  }
  read_pair_keypoints(at);
}

void Archive::Impl::read_volume(const h5::Handle& set, std::int64_t subject, std::size_t modality,
                                std::size_t value_bytes, std::span<std::byte> out, std::uint64_t checksum,
                                const char* what) const {
  std::unique_lock lock(h5::library_mutex());
  h5::quiet();
  h5::Dims start(h5::dims_of(set.id(), source).size(), 0);
  start[0] = static_cast<hsize_t>(subject);
  if (start.size() == 5) {
    start[1] = modality;
  }
  const std::string label = str("read the ", what, " of '", contents.subjects[start[0]].id, "'");
  h5::read_volume_chunk(set.id(), start, value_bytes, out, source, label);
  lock.unlock();  // another thread reads while this one hashes
  const std::uint64_t found = xxh3(out.data(), out.size());
  REGATTA_REQUIRE(found == checksum, DataError, source, ": ", what, " of '", contents.subjects[start[0]].id,
                  "': checksum ", hex_text(found), ", ", hex_text(checksum), " stored: the file is damaged");
}

Archive::Archive(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Archive::Archive(Archive&&) noexcept = default;

Archive::~Archive() {
  const std::lock_guard lock(h5::library_mutex());
  impl_.reset();
}

const std::string& group_of(const ArchiveSubject& subject) {
  return subject.group.empty() ? subject.id : subject.group;
}

KeypointLists keypoints_of(const std::vector<ArchiveSubject>& subjects, const ArchivePair& pair) {
  if (pair.keypoints) {
    return {pair.keypoints->moving, pair.keypoints->fixed};
  }
  const std::vector<Point3>& moving = subjects[static_cast<std::size_t>(pair.moving)].keypoints;
  const std::vector<Point3>& fixed = subjects[static_cast<std::size_t>(pair.fixed)].keypoints;
  return moving.size() == fixed.size() ? KeypointLists{moving, fixed} : KeypointLists{};
}

Archive Archive::open(const std::filesystem::path& path) {
  auto impl = std::make_unique<Impl>();
  Impl& s = *impl;
  s.path = path;
  s.source = path.string();
  REGATTA_REQUIRE(!std::filesystem::is_directory(path), DataError, s.source, ": a folder, an archive expected");
  REGATTA_REQUIRE(std::filesystem::is_regular_file(path), DataError, s.source, ": no such file");
  {
    const std::lock_guard lock(h5::library_mutex());
    h5::quiet();
    s.file = h5::open_to_read(path);
    s.read_attributes();
    s.open_volumes();
    s.read_subjects();
    s.read_pairs();
  }
  const std::string found = fingerprint_of(s.contents);
  REGATTA_REQUIRE(found == s.fingerprint, DataError, s.source, ": fingerprint of the tables ", found, ", ",
                  one_line(s.fingerprint, 40), " stored: the file is damaged");
  REGATTA_REQUIRE(s.tables_checksum.empty() || tables_checksum_of(s.contents) == s.tables_checksum, DataError, s.source,
                  ": tables_xxh3 is not that of its tables and attributes: the file is damaged");
  return Archive(std::move(impl));
}

const std::filesystem::path& Archive::path() const {
  return impl_->path;
}

const std::string& Archive::name() const {
  return impl_->name;
}

const std::string& Archive::made_by() const {
  return impl_->made_by;
}

const Shape3& Archive::shape() const {
  return impl_->contents.shape;
}

const Spacing3& Archive::spacing() const {
  return impl_->contents.spacing;
}

const std::string& Archive::orientation() const {
  return impl_->contents.orientation;
}

VoxelType Archive::image_type() const {
  return impl_->contents.type;
}

const std::vector<ArchiveSubject>& Archive::subjects() const {
  return impl_->contents.subjects;
}

std::vector<ArchivePair> Archive::pairs(const std::string& split) const {
  std::vector<ArchivePair> out;
  std::copy_if(impl_->contents.pairs.begin(), impl_->contents.pairs.end(), std::back_inserter(out),
               [&](const ArchivePair& pair) { return pair.split == split; });
  return out;
}

std::vector<std::string> Archive::splits() const {
  std::vector<std::string> out;
  for (const ArchivePair& pair : impl_->contents.pairs) {
    if (std::find(out.begin(), out.end(), pair.split) == out.end()) {
      out.push_back(pair.split);
    }
  }
  return out;
}

const std::vector<std::int64_t>& Archive::label_ids() const {
  return impl_->contents.label_ids;
}

bool Archive::has_labels() const {
  return !impl_->contents.label_ids.empty();
}

bool Archive::has_masks() const {
  return impl_->masks.id() >= 0;
}

bool Archive::has_keypoints() const {
  return impl_->keypoints;
}

const std::vector<std::string>& Archive::modalities() const {
  return impl_->contents.modalities;
}

const Json& Archive::preprocessing() const {
  return impl_->contents.preprocessing;
}

const std::string& Archive::fingerprint() const {
  return impl_->fingerprint;
}

double Archive::image_scale() const {
  return impl_->contents.image_scale;
}

void Archive::read_image(std::int64_t subject, std::span<std::byte> out, std::size_t modality) const {
  const Impl& s = *impl_;
  const bool bytes = s.contents.type == VoxelType::kUint8;
  REGATTA_REQUIRE(subject >= 0 && static_cast<std::size_t>(subject) < s.count() && modality < modalities().size() &&
                      out.size() == static_cast<std::size_t>(voxel_count(shape())) * (bytes ? 1 : 4),
                  BugError, s.source, ": read_image(", subject, ", ", modality, ") into ", out.size(), " bytes");
  s.read_volume(s.images, subject, modality, bytes ? 1 : 4, out,
                s.contents.image_checksums[static_cast<std::size_t>(subject) * modalities().size() + modality],
                "image");
}

void Archive::read_labels(std::int64_t subject, std::span<std::uint8_t> out) const {
  const Impl& s = *impl_;
  const auto index = static_cast<std::size_t>(subject);
  REGATTA_REQUIRE(index < s.count() && out.size() == static_cast<std::size_t>(voxel_count(shape())), BugError, s.source,
                  ": read_labels(", subject, ") into ", out.size(), " bytes");
  REGATTA_REQUIRE(s.contents.subjects[index].has_labels, DataError, s.source, ": subject '",
                  s.contents.subjects[index].id, "' has no labels");
  s.read_volume(s.labels, subject, 0, 1, std::as_writable_bytes(out), s.contents.label_checksums[index], "labels");
  std::uint8_t largest = 0;
  for (const std::uint8_t label : out) {
    largest = std::max(largest, label);
  }
  REGATTA_REQUIRE(largest < label_ids().size(), DataError, s.source, ": labels of '", s.contents.subjects[index].id,
                  "': index ", int{largest}, ", 0..", label_ids().size() - 1, " allowed");
}

void Archive::read_mask(std::int64_t subject, std::span<std::uint8_t> out) const {
  const Impl& s = *impl_;
  const auto index = static_cast<std::size_t>(subject);
  REGATTA_REQUIRE(index < s.count() && out.size() == static_cast<std::size_t>(voxel_count(shape())), BugError, s.source,
                  ": read_mask(", subject, ") into ", out.size(), " bytes");
  REGATTA_REQUIRE(s.contents.subjects[index].has_mask, DataError, s.source, ": subject '",
                  s.contents.subjects[index].id, "' has no mask");
  s.read_volume(s.masks, subject, 0, 1, std::as_writable_bytes(out), s.contents.mask_checksums[index], "mask");
}

}  // namespace regatta
