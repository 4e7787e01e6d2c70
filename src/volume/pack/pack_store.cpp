#include "volume/pack/pack_store.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMagic = 0x3154524150475221;  // "!RGPART1"
constexpr std::uint64_t kMostHeader = std::uint64_t{1} << 30;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 42;
constexpr std::uint64_t kMostHeld = std::uint64_t{1} << 30;
constexpr double kLongestHeld_s = 30.0;

/// Before each record: its JSON text, then the volumes' bytes.
struct RecordHead {
  std::uint64_t magic = kMagic;
  std::uint64_t text_bytes = 0;
  std::uint64_t text_xxh3 = 0;
  std::uint64_t volume_bytes = 0;
  std::uint64_t volume_xxh3 = 0;
};

Json row_to_json(const PackedSubject& subject) {
  const ArchiveSubject& row = subject.row;
  Json ranges = Json::array();
  for (const IntensityRange& range : row.intensity) {
    ranges.push_back({range.low, range.high});
  }
  return {{"key", row.source_key},
          {"shape", subject.shape},
          {"affine", row.affine},
          {"original_affine", row.original_affine},
          {"original_shape", row.original_shape},
          {"image_source", row.image_source},
          {"intensity", ranges},
          {"atlas_to_subject", row.atlas_to_subject},
          {"affine_ncc", number_to_json(row.affine_ncc)},
          {"keypoints", row.keypoints},
          {"label_values", subject.label_values},
          {"images", subject.images.size()},
          {"labels", subject.labels.size()},
          {"mask", subject.mask.size()}};
}

PackedSubject row_from_json(const Json& json) {
  PackedSubject subject;
  ArchiveSubject& row = subject.row;
  row.source_key = json.at("key").get<std::string>();
  subject.shape = json.at("shape").get<Shape3>();
  row.affine = json.at("affine").get<Affine>();
  row.original_affine = json.at("original_affine").get<Affine>();
  row.original_shape = json.at("original_shape").get<Shape3>();
  row.image_source = json.at("image_source").get<std::string>();
  row.intensity.clear();
  for (const Json& range : json.at("intensity")) {
    row.intensity.push_back({range.at(0).get<double>(), range.at(1).get<double>()});
  }
  row.atlas_to_subject = json.at("atlas_to_subject").get<Affine>();
  row.affine_ncc = number_from_json(json.at("affine_ncc"), "/affine_ncc");
  row.keypoints = json.at("keypoints").get<std::vector<Point3>>();
  subject.label_values = json.at("label_values").get<std::vector<std::int32_t>>();
  subject.images.resize(json.at("images").get<std::size_t>());
  subject.labels.resize(json.at("labels").get<std::size_t>());
  subject.mask.resize(json.at("mask").get<std::size_t>());
  return subject;
}

std::uint64_t volume_bytes(const PackedSubject& subject) {
  return subject.images.size() + subject.labels.size() + subject.mask.size();
}

bool read_at(int fd, std::uint64_t offset, void* out, std::size_t bytes) {
  auto* at = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t got = ::pread(fd, at, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return false;
    }
    at += got;
    offset += static_cast<std::uint64_t>(got);
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

/// A record's head and text, if they are whole.
std::optional<std::pair<RecordHead, Json>> read_head(int fd, std::uint64_t offset, std::uint64_t file_bytes) {
  RecordHead head;
  if (!read_at(fd, offset, &head, sizeof head) || head.magic != kMagic || head.text_bytes > kMostHeader ||
      head.volume_bytes > kMostBytes || offset + sizeof head + head.text_bytes + head.volume_bytes > file_bytes) {
    return std::nullopt;
  }
  std::string text(head.text_bytes, '\0');
  if (!read_at(fd, offset + sizeof head, text.data(), text.size()) ||
      xxh3(text.data(), text.size()) != head.text_xxh3) {
    return std::nullopt;
  }
  return std::pair(head, parse_json(text, "part file"));
}

std::uint64_t hash_of_volumes(const PackedSubject& subject) {
  const std::array<std::uint64_t, 3> hashes = {xxh3(subject.images.data(), subject.images.size()),
                                               xxh3(subject.labels.data(), subject.labels.size()),
                                               xxh3(subject.mask.data(), subject.mask.size())};
  return xxh3(hashes.data(), sizeof hashes);
}

/// A whole record; none if its volumes do not verify.
std::optional<PackedSubject> read_volumes(int fd, std::uint64_t offset, const std::pair<RecordHead, Json>& record) {
  PackedSubject subject = row_from_json(record.second);
  std::uint64_t at = offset + sizeof(RecordHead) + record.first.text_bytes;
  bool whole = record.first.volume_bytes == volume_bytes(subject);
  const auto read = [&](void* out, std::size_t bytes) {
    whole = whole && read_at(fd, at, out, bytes);
    at += bytes;
  };
  read(subject.images.data(), subject.images.size());
  read(subject.labels.data(), subject.labels.size());
  read(subject.mask.data(), subject.mask.size());
  return whole && hash_of_volumes(subject) == record.first.volume_xxh3 ? std::optional(std::move(subject))
                                                                       : std::nullopt;
}

/// Labels as indices into the values that the subject itself has.
void load_labels(const Archive& archive, std::int64_t number, PackedSubject& subject) {
  if (!archive.subjects()[static_cast<std::size_t>(number)].has_labels) {
    return;
  }
  subject.labels.resize(static_cast<std::size_t>(voxel_count(archive.shape())));
  archive.read_labels(number, subject.labels);
  std::array<std::uint8_t, 256> rank{};
  std::array<bool, 256> present{};
  for (const std::uint8_t index : subject.labels) {
    present[index] = true;
  }
  std::vector<std::pair<std::int32_t, std::uint8_t>> values;  // ascending by value: 0 need not be the least
  for (std::size_t index = 0; index < archive.label_ids().size(); ++index) {
    if (present[index]) {
      values.emplace_back(static_cast<std::int32_t>(archive.label_ids()[index]), static_cast<std::uint8_t>(index));
    }
  }
  std::sort(values.begin(), values.end());
  for (const auto& [value, index] : values) {
    rank[index] = static_cast<std::uint8_t>(subject.label_values.size());
    subject.label_values.push_back(value);
  }
  std::transform(subject.labels.begin(), subject.labels.end(), subject.labels.begin(),
                 [&rank](std::uint8_t index) { return rank[index]; });
}

}  // namespace

PackStore::PackStore(fs::path part, const std::optional<fs::path>& earlier) : part_(std::move(part)) {
  fd_ = ::open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  REGATTA_REQUIRE(fd_ >= 0, DataError, part_.string(), ": cannot open: ", std::strerror(errno));
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(fd_);
    throw DataError(str(part_.string(), ": another `regatta pack` is writing it"));
  }
  read_index();
  if (earlier && fs::exists(*earlier)) {
    try {
      earlier_.emplace(Archive::open(*earlier));
      for (std::size_t i = 0; i < earlier_->subjects().size(); ++i) {
        subject_of_.emplace(earlier_->subjects()[i].source_key, static_cast<std::int64_t>(i));
      }
      subject_of_.erase("");
    } catch (const DataError& error) {
      log_warning("nothing is taken from the archive that is there: ", error.what());
    }
  }
}

PackStore::~PackStore() {
  if (fd_ >= 0) {
    if (offset_of_.empty()) {
      ::unlink(part_.c_str());
    }
    ::close(fd_);
  }
}

void PackStore::read_index() {
  const auto file_bytes = static_cast<std::uint64_t>(std::max<off_t>(0, ::lseek(fd_, 0, SEEK_END)));
  while (const auto record = read_head(fd_, end_, file_bytes)) {
    if (!read_volumes(fd_, end_, *record)) {
      return;  // what a power cut left
    }
    const auto key = record->second.at("key").get<std::string>();
    offset_of_[key] = end_;
    values_of_[key] = record->second.at("label_values").get<std::vector<std::int32_t>>();
    end_ += sizeof(RecordHead) + record->first.text_bytes + record->first.volume_bytes;
  }
}

bool PackStore::has(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  return held_.contains(key) || offset_of_.contains(key) || subject_of_.contains(key);
}

void PackStore::add(const std::shared_ptr<const PackedSubject>& subject) {
  add(subject->row.source_key, volume_bytes(*subject), [subject] { return subject; });
}

void PackStore::add(const std::string& key, std::uint64_t bytes, Load load) {
  if (has(key)) {
    return;
  }
  const std::lock_guard lock(mutex_);
  const double now_s = system_clock().monotonic_s();
  held_since_s_ = held_.empty() ? now_s : held_since_s_;
  held_bytes_ += bytes;
  held_.emplace(key, std::move(load));
  if (held_bytes_ > kMostHeld || now_s - held_since_s_ > kLongestHeld_s) {
    keep_held();
  }
}

void PackStore::keep() {
  const std::lock_guard lock(mutex_);
  keep_held();
}

void PackStore::keep_held() {
  while (!held_.empty()) {
    append(*held_.begin()->second());
    held_.erase(held_.begin());
  }
  held_bytes_ = 0;
}

void PackStore::append(const PackedSubject& subject) {
  const std::string text = dump_line(row_to_json(subject));
  RecordHead head;
  head.text_bytes = text.size();
  head.text_xxh3 = xxh3(text.data(), text.size());
  head.volume_bytes = volume_bytes(subject);
  head.volume_xxh3 = hash_of_volumes(subject);
  std::uint64_t at = end_;
  const auto write = [&](const void* data, std::size_t bytes) {
    write_at(at, data, bytes);
    at += bytes;
  };
  write(&head, sizeof head);
  write(text.data(), text.size());
  write(subject.images.data(), subject.images.size());
  write(subject.labels.data(), subject.labels.size());
  write(subject.mask.data(), subject.mask.size());
  offset_of_[subject.row.source_key] = end_;
  values_of_[subject.row.source_key] = subject.label_values;
  end_ = at;
}

void PackStore::write_at(std::uint64_t offset, const void* data, std::size_t bytes) const {
  const auto* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::pwrite(fd_, from, bytes, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) {
      continue;
    }
    REGATTA_REQUIRE(written > 0, DataError, part_.string(), ": cannot write: ", std::strerror(errno), "; ", kept(),
                    " subjects are kept there, the same command continues with them");
    from += written;
    offset += static_cast<std::uint64_t>(written);
    bytes -= static_cast<std::size_t>(written);
  }
}

std::vector<std::int32_t> PackStore::label_values(const std::string& key) const {
  if (const auto found = subject_of_.find(key); found != subject_of_.end()) {
    PackedSubject subject;
    load_labels(*earlier_, found->second, subject);
    return subject.label_values;
  }
  if (const auto found = held_.find(key); found != held_.end()) {
    return found->second()->label_values;
  }
  return values_of_.at(key);
}

std::shared_ptr<const PackedSubject> PackStore::load(const std::string& key) const {
  if (const auto found = subject_of_.find(key); found != subject_of_.end()) {
    return std::make_shared<const PackedSubject>(from_archive(found->second));
  }
  std::uint64_t offset = 0;
  std::uint64_t end = 0;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = held_.find(key); found != held_.end()) {
      return found->second();
    }
    offset = offset_of_.at(key);
    end = end_;
  }
  const auto record = read_head(fd_, offset, end);
  REGATTA_REQUIRE(record, DataError, part_.string(), ": changed while it was read");
  std::optional<PackedSubject> subject = read_volumes(fd_, offset, *record);
  REGATTA_REQUIRE(subject, DataError, part_.string(), ": damaged at byte ", offset, ": remove it and pack again");
  return std::make_shared<const PackedSubject>(std::move(*subject));
}

PackedSubject PackStore::from_archive(std::int64_t number) const {
  const Archive& archive = *earlier_;
  PackedSubject subject;
  subject.row = archive.subjects()[static_cast<std::size_t>(number)];
  subject.shape = archive.shape();
  const auto voxels = static_cast<std::size_t>(voxel_count(archive.shape()));
  const std::size_t image_bytes = voxels * (archive.image_type() == VoxelType::kUint8 ? 1 : 4);
  subject.images.resize(image_bytes * archive.modalities().size());
  for (std::size_t i = 0; i < archive.modalities().size(); ++i) {
    archive.read_image(number, std::span(subject.images).subspan(i * image_bytes, image_bytes), i);
  }
  load_labels(archive, number, subject);
  if (subject.row.has_mask) {
    subject.mask.resize(voxels);
    archive.read_mask(number, subject.mask);
  }
  return subject;
}

void PackStore::remove() {
  ::unlink(part_.c_str());
  ::close(fd_);
  fd_ = -1;
}

}  // namespace regatta
