// Archives: what is written is read back, damage is found, other files are refused.
#include <cmath>

#include <hdf5.h>
#include <nlohmann/json.hpp>

#include "files.hpp"
#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/random.hpp"
#include "regatta/volume/archive_writer.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "victim.hpp"

using namespace regatta;
using regatta::test::error_text;
using regatta::test::TemporaryFolder;

namespace {

constexpr Shape3 kShape = {5, 4, 3};
constexpr std::size_t kVoxels = 60;

std::vector<std::byte> image_of(std::uint64_t subject) {
  const CounterRng rng(7, RandomPurpose::kSynthetic);
  std::vector<std::byte> out(kVoxels);
  for (std::size_t i = 0; i < kVoxels; ++i) {
    out[i] = static_cast<std::byte>(rng.below(256, subject * kVoxels + i));
  }
  return out;
}

std::vector<std::uint8_t> labels_of(std::uint64_t subject) {
  const CounterRng rng(8, RandomPurpose::kSynthetic);
  std::vector<std::uint8_t> out(kVoxels);
  for (std::size_t i = 0; i < kVoxels; ++i) {
    out[i] = static_cast<std::uint8_t>(rng.below(3, subject * kVoxels + i));
  }
  return out;
}

ArchiveHeader header_of(int deflate = 0) {
  ArchiveHeader header;
  header.name = "three brains";
  header.shape = kShape;
  header.spacing = {1.0, 1.5, 2.0};
  header.orientation = "LIA";
  header.subjects = 3;
  header.label_ids = {0, 17, 2035};
  header.preprocessing = R"({"orientation":"LIA"})";
  header.deflate = deflate;
  return header;
}

std::string write_archive(const std::filesystem::path& path, int deflate = 0) {
  ArchiveWriter writer(path, header_of(deflate));
  for (std::uint64_t i = 0; i < 3; ++i) {
    ArchiveSubject subject;
    subject.id = str("p", i);
    subject.split = i == 2 ? "val" : "train";
    subject.affine = {1, 0, 0, -3, 0, 1.5, 0, 2, 0, 0, 2, static_cast<double>(i), 0, 0, 0, 1};
    subject.original_affine = identity_affine();
    subject.original_shape = {9, 8, 7};
    subject.image_source = str("scan", i, ".nii.gz");
    subject.intensity = {{-1.5, 900.0}};
    const auto labels = labels_of(i);
    writer.add(subject, image_of(i), i == 1 ? std::span<const std::uint8_t>{} : std::span(labels));
  }
  writer.set_pairs({{"train", 0, 1}, {"train", 1, 0}, {"val", 0, 2}});
  return writer.finish();
}

/// A subject's first image as HDF5's own filters read it, and the bytes that it takes in the file.
std::pair<std::vector<std::byte>, hsize_t> read_by_hdf5(const std::filesystem::path& path, std::size_t bytes) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  const hid_t set = H5Dopen2(file, "images", H5P_DEFAULT);
  const hid_t type = H5Dget_type(set);
  std::vector<std::byte> out(bytes);
  const herr_t done = H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data());
  const hsize_t stored = H5Dget_storage_size(set);
  H5Tclose(type);
  H5Dclose(set);
  H5Fclose(file);
  REQUIRE(done >= 0);
  return {std::move(out), stored};
}

}  // namespace

TEST_CASE("volumes deflated by several threads are what HDF5's own filters read") {
  const TemporaryFolder folder;
  const Shape3 shape = GENERATE(Shape3{1, 1, 1}, Shape3{128, 128, 64}, Shape3{130, 127, 101});
  const VoxelType type = GENERATE(VoxelType::kUint8, VoxelType::kFloat32);
  const bool noise = GENERATE(false, true);
  CAPTURE(shape, type == VoxelType::kUint8, noise);
  const CounterRng rng(9, RandomPurpose::kSynthetic);
  const auto voxels = static_cast<std::size_t>(voxel_count(shape));
  std::vector<std::byte> image(voxels * (type == VoxelType::kUint8 ? 1 : 4));
  for (std::size_t i = 0; i < image.size(); ++i) {
    const double smooth = 100.0 + 90.0 * std::sin(static_cast<double>(i) / 700.0);
    image[i] = static_cast<std::byte>(noise ? rng.below(256, i) : static_cast<std::uint64_t>(smooth));
  }
  ArchiveHeader header = header_of(GENERATE(1, 9));
  header.shape = shape;
  header.type = type;
  header.subjects = 1;
  header.threads = 3;
  ArchiveWriter writer(folder / "a.h5", header);
  ArchiveSubject only;
  only.id = "only";
  only.split = "train";
  only.affine = identity_affine();
  only.original_affine = identity_affine();
  writer.add(only, image);
  std::vector<std::byte> again(image.size());
  writer.read(0, again);
  CHECK(again == image);
  writer.finish();
  const auto [read, stored] = read_by_hdf5(folder / "a.h5", image.size());
  CHECK(read == image);
  CHECK((noise || image.size() < 100 ? stored == image.size() : stored < image.size() / 4));
}

TEST_CASE("an archive gives back what was written") {
  const TemporaryFolder folder;
  const int deflate = GENERATE(0, 4);
  const std::string fingerprint = write_archive(folder / "a.h5", deflate);
  const Archive archive = Archive::open(folder / "a.h5");
  CHECK(archive.fingerprint() == fingerprint);
  CHECK(archive.name() == "three brains");
  CHECK(archive.shape() == kShape);
  CHECK(archive.spacing() == Spacing3{1.0, 1.5, 2.0});
  CHECK(archive.orientation() == "LIA");
  CHECK(archive.image_type() == VoxelType::kUint8);
  CHECK(archive.image_scale() == Approx(1.0 / 255.0));
  CHECK(archive.label_ids() == std::vector<std::int64_t>{0, 17, 2035});
  CHECK(archive.preprocessing().at("orientation") == "LIA");
  CHECK(archive.splits() == std::vector<std::string>{"train", "val"});
  CHECK(archive.pairs("train").size() == 2);
  CHECK(archive.pairs("val").at(0).fixed == 2);
  CHECK(archive.pairs("test").empty());
  REQUIRE(archive.subjects().size() == 3);
  const ArchiveSubject& last = archive.subjects()[2];
  CHECK(last.id == "p2");
  CHECK(last.split == "val");
  CHECK(last.affine[11] == 2.0);
  CHECK(last.original_shape == Shape3{9, 8, 7});
  CHECK(last.image_source == "scan2.nii.gz");
  CHECK(last.intensity == std::vector<IntensityRange>{{-1.5, 900.0}});
  CHECK(last.group == "p2");
  for (std::int64_t i = 0; i < 3; ++i) {
    std::vector<std::byte> image(kVoxels);
    archive.read_image(i, image);
    CHECK(image == image_of(static_cast<std::uint64_t>(i)));
  }
  std::vector<std::uint8_t> labels(kVoxels);
  archive.read_labels(2, labels);
  CHECK(labels == labels_of(2));
  CHECK(error_text([&] { archive.read_labels(1, labels); }).find("'p1' has no labels") != std::string::npos);
}

TEST_CASE("key-points of a pair are written beside those of its subjects, and go before them") {
  const TemporaryFolder folder;
  const auto write = [&](const char* name, const std::shared_ptr<const PairKeypoints>& own) {
    ArchiveWriter writer(folder / name, header_of());
    for (std::uint64_t i = 0; i < 3; ++i) {
      ArchiveSubject subject;
      subject.id = str("p", i);
      subject.split = "train";
      if (i < 2) {
        subject.keypoints = {{1, 2, static_cast<double>(i)}};
      }
      writer.add(subject, image_of(i));
    }
    writer.set_pairs({{"train", 0, 1}, {"train", 0, 2, own}, {"train", 1, 2}});
    return writer.finish();
  };
  const std::string without = write("a.h5", nullptr);
  const auto own =
      std::make_shared<const PairKeypoints>(PairKeypoints{{{3, 3, 3}, {4, 4, 4}}, {{5, 5, 5}, {6, 6, 6.5}}});
  const std::string with = write("b.h5", own);
  CHECK(with != without);
  const Archive archive = Archive::open(folder / "b.h5");
  CHECK(archive.fingerprint() == with);
  CHECK(archive.has_keypoints());
  const std::vector<ArchivePair> pairs = archive.pairs("train");
  const auto lists = [&](std::size_t pair) { return keypoints_of(archive.subjects(), pairs[pair]); };
  CHECK(lists(0).moving[0] == Point3{1, 2, 0});
  CHECK(lists(0).fixed[0] == Point3{1, 2, 1});
  REQUIRE(lists(1).fixed.size() == 2);
  CHECK(lists(1).moving[1] == Point3{4, 4, 4});
  CHECK(lists(1).fixed[1] == Point3{6, 6, 6.5});
  CHECK(lists(2).fixed.empty());
  CHECK_FALSE(Archive::open(folder / "a.h5").pairs("train")[1].keypoints);

  const std::string whole = test::read_bytes(folder / "b.h5");
  const auto damaged = [&](double old_value, double value) {
    std::string bytes = whole;
    const std::size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&old_value), 8));
    REQUIRE(at != std::string::npos);
    test::poke(bytes, at, value);
    test::write_bytes(folder / "c.h5", bytes);
    return error_text([&] { Archive::open(folder / "c.h5"); });
  };
  CHECK(damaged(6.5, 6.25).find("fingerprint of the tables") != std::string::npos);
  test::write_bytes(folder / "d.h5", whole);
  test::Victim(folder / "d.h5").replace_with_zeros("pairs/fixed_keypoints", H5T_IEEE_F64LE, {1, 3});
  CHECK(error_text([&] { Archive::open(folder / "d.h5"); }).find("2 moving and 1 fixed key-points") !=
        std::string::npos);
}

TEST_CASE("the fingerprint does not depend on compression but on every voxel's value") {
  const TemporaryFolder folder;
  const std::string plain = write_archive(folder / "a.h5", 0);
  CHECK(write_archive(folder / "b.h5", 9) == plain);
  ArchiveWriter writer(folder / "c.h5", header_of());
  for (std::uint64_t i = 0; i < 3; ++i) {
    auto image = image_of(i);
    image[3] ^= i == 2 ? std::byte{1} : std::byte{0};
    writer.add(Archive::open(folder / "a.h5").subjects()[i], image,
               i == 1 ? std::vector<std::uint8_t>{} : labels_of(i));
  }
  writer.set_pairs({{"train", 0, 1}, {"train", 1, 0}, {"val", 0, 2}});
  CHECK(writer.finish() != plain);
}

TEST_CASE("a float archive keeps float32 bits") {
  const TemporaryFolder folder;
  ArchiveHeader header = header_of();
  header.type = VoxelType::kFloat32;
  header.subjects = 1;
  header.label_ids.clear();
  std::vector<float> image(kVoxels);
  for (std::size_t i = 0; i < kVoxels; ++i) {
    image[i] = 1.0F / static_cast<float>(i + 3);
  }
  ArchiveWriter writer(folder / "f.h5", header);
  ArchiveSubject only;
  only.id = "only";
  only.split = "train";
  writer.add(only, std::as_bytes(std::span(image)));
  writer.finish();
  const Archive archive = Archive::open(folder / "f.h5");
  std::vector<float> back(kVoxels);
  archive.read_image(0, std::as_writable_bytes(std::span(back)));
  CHECK(back == image);
  CHECK(archive.image_scale() == 1.0);
  CHECK_FALSE(archive.has_labels());
}

TEST_CASE("a flipped bit in the voxels is found when the volume is read") {
  const TemporaryFolder folder;
  write_archive(folder / "a.h5");
  std::string bytes = test::read_bytes(folder / "a.h5");
  const auto image = image_of(1);
  const std::size_t at = bytes.find(std::string(reinterpret_cast<const char*>(image.data()), image.size()));
  REQUIRE(at != std::string::npos);
  bytes[at + 17] = static_cast<char>(bytes[at + 17] ^ 4);
  test::write_bytes(folder / "a.h5", bytes);
  const Archive archive = Archive::open(folder / "a.h5");
  std::vector<std::byte> out(kVoxels);
  archive.read_image(0, out);
  const std::string text = error_text([&] { archive.read_image(1, out); });
  CHECK(text.find("image of 'p1': checksum") != std::string::npos);
  CHECK(text.find("the file is damaged") != std::string::npos);
}

TEST_CASE("a changed table is found by the fingerprint when the archive is opened") {
  const TemporaryFolder folder;
  write_archive(folder / "a.h5");
  std::string bytes = test::read_bytes(folder / "a.h5");
  const std::uint64_t checksum = xxh3(image_of(0).data(), kVoxels);
  const std::size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&checksum), 8));
  REQUIRE(at != std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  test::write_bytes(folder / "a.h5", bytes);
  CHECK(error_text([&] { Archive::open(folder / "a.h5"); }).find("fingerprint of the tables") != std::string::npos);
}

TEST_CASE("what the fingerprint leaves out is checked too; archives without that checksum open") {
  const TemporaryFolder folder;
  write_archive(folder / "a.h5");
  std::string bytes = test::read_bytes(folder / "a.h5");
  const double high = 900.0;  // of subjects/intensity
  const std::size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&high), 8));
  REQUIRE(at != std::string::npos);
  bytes[at + 6] = static_cast<char>(bytes[at + 6] ^ 1);
  test::write_bytes(folder / "a.h5", bytes);
  CHECK(error_text([&] { Archive::open(folder / "a.h5"); }).find("tables_xxh3") != std::string::npos);
  const hid_t file = H5Fopen((folder / "a.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  REQUIRE(H5Adelete(file, "tables_xxh3") >= 0);
  H5Fclose(file);
  CHECK(Archive::open(folder / "a.h5").subjects().size() == 3);
}

TEST_CASE("a truncated archive is refused or, where only voxels are gone, found on reading") {
  const TemporaryFolder folder;
  write_archive(folder / "a.h5");
  const std::string bytes = test::read_bytes(folder / "a.h5");
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, bytes.size() / 2, bytes.size() - 1}) {
    test::write_bytes(folder / "b.h5", bytes.substr(0, length));
    const std::string text = error_text([&] { Archive::open(folder / "b.h5"); });
    CHECK(text.find("b.h5") != std::string::npos);
    CHECK(text.find('\n') == std::string::npos);
  }
}

TEST_CASE("missing and foreign files are refused with one line") {
  const TemporaryFolder folder;
  CHECK(error_text([&] { Archive::open(folder / "none.h5"); }).find("none.h5: no such file") != std::string::npos);
  test::write_bytes(folder / "text.h5", "not an archive");
  CHECK(error_text([&] { Archive::open(folder / "text.h5"); }).find("cannot open") != std::string::npos);
}

TEST_CASE("an archive that is not finished leaves nothing behind") {
  const TemporaryFolder folder;
  {
    ArchiveWriter writer(folder / "a.h5", header_of());
    writer.add({}, image_of(0), labels_of(0));
  }
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a label map with more than 255 values is refused") {
  const TemporaryFolder folder;
  ArchiveHeader header = header_of();
  header.label_ids.resize(257);
  const std::string text = error_text([&] { ArchiveWriter(folder / "a.h5", header); });
  CHECK(text.find("257 label values") != std::string::npos);
  CHECK(text.find("labels.merge") != std::string::npos);
}
