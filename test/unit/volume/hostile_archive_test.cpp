// Archives made to hurt: one line, exit code 3, and no more memory than twice what the file implies.
#include <cstring>
#include <functional>

#include <hdf5.h>
#include <zlib.h>

#include "attempt.hpp"
#include "files.hpp"
#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/random.hpp"
#include "regatta/volume/archive.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "victim.hpp"

using namespace regatta;
using regatta::test::attempt;
using regatta::test::Dims;
using regatta::test::error_text;
using regatta::test::require_refused;
using regatta::test::TemporaryFolder;
using regatta::test::Victim;
using regatta::test::write_small_archive;

namespace {

constexpr std::size_t kVoxels = 60;

void read_all(const std::filesystem::path& path) {
  const Archive archive = Archive::open(path);
  std::vector<std::byte> image(static_cast<std::size_t>(voxel_count(archive.shape())) *
                               (archive.image_type() == VoxelType::kUint8 ? 1 : 4));
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(voxel_count(archive.shape())));
  for (std::size_t i = 0; i < archive.subjects().size(); ++i) {
    archive.read_image(static_cast<std::int64_t>(i), image);
    if (archive.subjects()[i].has_labels) {
      archive.read_labels(static_cast<std::int64_t>(i), labels);
    }
  }
}

hid_t fixed_string() {
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, 8);
  return type;
}

std::string deflated(const std::string& bytes) {
  std::string out(compressBound(bytes.size()), '\0');
  uLongf size = out.size();
  compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(), 9);
  out.resize(size);
  return out;
}

struct Damage {
  const char* what;
  std::function<void(const Victim&)> apply;
  const char* message;
};

const Dims kImages = {3, 1, 5, 4, 3};
const Dims kChunk = {1, 1, 5, 4, 3};
constexpr hsize_t kMany = 1000000;

std::vector<Damage> damages() {
  const hid_t byte = H5T_STD_U8LE;
  const hid_t real = H5T_IEEE_F64LE;
  return {
      {"chunks of one slice",
       [=](auto& v) {
         v.replace("images", byte, kImages, {1, 1, 1, 4, 3});
       },
       "images: chunk [1,1,1,4,3], one volume [1,1,5,4,3] expected"},
      {"one chunk of all volumes", [=](auto& v) { v.replace("images", byte, kImages, kImages); }, "chunk [3,1,5,4,3]"},
      {"no chunks", [=](auto& v) { v.replace("images", byte, kImages); }, "images: one chunk a volume expected"},
      {"label chunks of one row",
       [=](auto& v) {
         v.replace("labels", byte, {3, 5, 4, 3}, {1, 1, 1, 3});
       },
       "labels: chunk [1,1,1,3]"},
      {"images of four axes",
       [=](auto& v) {
         v.replace("images", byte, {3, 5, 4, 3}, {1, 5, 4, 3});
       },
       "images: shape [3,5,4,3], [N,C,D,H,W] expected"},
      {"images of no axis", [=](auto& v) { v.replace("images", byte, {}); }, "images: shape []"},
      {"dimensions whose product is 0 modulo 2^64",
       [=](auto& v) {
         v.replace("images", byte, {3, 1, hsize_t{1} << 32, hsize_t{1} << 32, 1}, {1, 1, 1, 1, 1});
       },
       "images: shape [3,1,4294967296,4294967296,1]"},
      {"volumes of 64 GiB",
       [=](auto& v) {
         v.replace("images", byte, {3, 1, 4096, 4096, 4096}, kChunk);
       },
       "chunk [1,1,5,4,3], one volume [1,1,4096,4096,4096] expected"},
      {"volumes of 4 GiB less a bit, in chunks as large",
       [=](auto& v) {
         v.replace("images", byte, {3, 1, 4096, 1024, 1023}, {1, 1, 4096, 1024, 1023});
       },
       "cannot hold one"},
      {"a million subjects",
       [=](auto& v) {
         v.replace("images", byte, {kMany, 1, 5, 4, 3}, kChunk);
       },
       "images: 1000000 subjects"},
      {"a billion subjects",
       [=](auto& v) {
         v.replace("images", byte, {1000 * kMany, 1, 5, 4, 3}, kChunk);
       },
       "images: shape [1000000000,1,5,4,3]"},
      {"images never written", [=](auto& v) { v.replace("images", byte, kImages, kChunk); },
       "read the image of 'p0': 0 bytes stored"},
      {"labels of other dimensions",
       [=](auto& v) {
         v.replace("labels", byte, {3, 5, 4, 4}, {1, 5, 4, 4});
       },
       "labels: shape [3,5,4,4], images have"},
      {"labels of another type",
       [=](auto& v) {
         v.replace("labels", H5T_STD_I32LE, {3, 5, 4, 3}, {1, 5, 4, 3});
       },
       "labels: unexpected type"},
      {"images of another type", [=](auto& v) { v.replace("images", H5T_STD_U8BE, kImages, kChunk); }, ""},
      {"images of float64", [=](auto& v) { v.replace("images", real, kImages, kChunk); }, "images: unexpected type"},
      {"images of strings", [=](auto& v) { v.replace("images", fixed_string(), kImages, kChunk); },
       "images: unexpected type"},
      {"a checksum filter",
       [=](auto& v) { v.replace("images", byte, kImages, kChunk, [](hid_t p) { H5Pset_fletcher32(p); }); },
       "images: HDF5 filters 3, none or"},
      {"two deflate filters",
       [=](auto& v) {
         v.replace("images", byte, kImages, kChunk, [](hid_t p) {
           H5Pset_deflate(p, 9);
           H5Pset_deflate(p, 9);
         });
       },
       "images: HDF5 filters 1,1"},
      {"a deflate bomb",
       [=](auto& v) {
         v.replace("images", byte, kImages, kChunk, [](hid_t p) { H5Pset_deflate(p, 9); });
         v.write_chunk("images", {0, 0, 0, 0, 0}, deflated(std::string(50 << 20, '\0')));
       },
       "bytes stored for a volume of 60"},
      {"a small deflate bomb",
       [=](auto& v) {
         v.replace("images", byte, kImages, kChunk, [](hid_t p) { H5Pset_deflate(p, 9); });
         v.write_chunk("images", {0, 0, 0, 0, 0}, deflated(std::string(60000, '\0')));
       },
       "damaged deflate data"},
      {"too little deflated",
       [=](auto& v) {
         v.replace("images", byte, kImages, kChunk, [](hid_t p) { H5Pset_deflate(p, 9); });
         v.write_chunk("images", {0, 0, 0, 0, 0}, deflated("x"));
       },
       "damaged deflate data"},
      {"a group in the place of the images",
       [](auto& v) {
         v.remove("images");
         H5Gclose(H5Gcreate2(v.id(), "images", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
       },
       "open the dataset images"},
      {"a group in the place of a table",
       [](auto& v) {
         v.remove("subjects/affine");
         H5Gclose(H5Gcreate2(v.id(), "subjects/affine", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
       },
       "open the dataset affine"},
      {"a dataset in the place of the subjects", [=](auto& v) { v.replace("subjects", byte, {1}); },
       "open the group subjects"},
      {"no subjects", [](auto& v) { v.remove("subjects"); }, "find subjects"},
      {"a link to another file in the place of the images",
       [](auto& v) {
         v.remove("images");
         H5Lcreate_external("/etc/passwd", "/images", v.id(), "images", H5P_DEFAULT, H5P_DEFAULT);
       },
       "images: a link, a group or dataset expected"},
      {"a link to itself in the place of the pairs",
       [](auto& v) {
         v.remove("pairs");
         H5Lcreate_soft("/pairs", v.id(), "pairs", H5P_DEFAULT, H5P_DEFAULT);
       },
       "pairs: a link, a group or dataset expected"},
      {"ids of fixed length", [](auto& v) { v.replace_with_zeros("subjects/id", fixed_string(), {3}); },
       "id: expected variable-length strings"},
      {"ids that are numbers", [](auto& v) { v.replace_with_zeros("subjects/id", H5T_STD_I64LE, {3}); },
       "id: expected variable-length strings"},
      {"affines that are strings",
       [](auto& v) {
         v.replace_with_zeros("subjects/affine", fixed_string(), {3, 4, 4});
       },
       "affine: numbers of at most 64 bits expected"},
      {"affines of two subjects",
       [=](auto& v) {
         v.replace_with_zeros("subjects/affine", real, {2, 4, 4});
       },
       "affine: shape [2,4,4], [3,4,4] expected"},
      {"affines that are singular",
       [=](auto& v) {
         v.replace_with_zeros("subjects/affine", real, {3, 4, 4});
       },
       "its affine is singular"},
      {"affines never written",
       [=](auto& v) {
         v.replace("subjects/affine", real, {3, 4, 4});
       },
       "affine: shape [3,4,4], 0 bytes stored, 384 expected"},
      {"compressed affines",
       [=](auto& v) {
         v.replace("subjects/affine", real, {3, 4, 4}, {3, 4, 4}, [](hid_t p) { H5Pset_deflate(p, 9); });
       },
       "affine: a plain, uncompressed dataset expected"},
      {"affines in another file",
       [=](auto& v) {
         v.replace("subjects/affine", real, {3, 4, 4}, {},
                   [](hid_t p) { H5Pset_external(p, "/etc/passwd", 0, H5F_UNLIMITED); });
       },
       "affine: a plain, uncompressed dataset expected"},
      {"a billion pairs", [=](auto& v) { v.replace("pairs/moving", H5T_STD_I64LE, {1000 * kMany}); },
       "pairs/moving: shape [1000000000]"},
      {"pairs of other subjects",
       [](auto& v) {
         v.replace_with_zeros("pairs/fixed", H5T_STD_I64LE, {2});
         const std::array<std::int64_t, 2> fixed = {1, 3};
         const hid_t set = H5Dopen2(v.id(), "pairs/fixed", H5P_DEFAULT);
         H5Dwrite(set, H5T_STD_I64LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, fixed.data());
         H5Dclose(set);
       },
       "pair 1: (1, 3), subjects 0..2"},
      {"no label ids", [](auto& v) { v.remove("label_ids"); }, "find label_ids"},
      {"300 label ids", [](auto& v) { v.replace_with_zeros("label_ids", H5T_STD_I64LE, {300}); },
       "label_ids: shape [300]"},
      {"another format", [](auto& v) { v.set_text("format", "something"); }, "no archive of `regatta pack`"},
      {"another schema",
       [](auto& v) {
         const std::int32_t schema = 99;
         v.set_attribute("schema", H5T_STD_I32LE, {}, &schema);
       },
       "archive schema 99"},
      {"a schema of 60000 bytes",
       [](auto& v) {
         const hid_t type = H5Tcopy(H5T_C_S1);
         H5Tset_size(type, 60000);
         const std::string text(60000, 'x');
         v.set_attribute("schema", type, {}, text.data());
       },
       "attribute schema: values of 60000 bytes"},
      {"two spacings",
       [](auto& v) {
         const std::array<double, 2> spacing = {1, 1};
         v.set_attribute("spacing_mm", H5T_IEEE_F64LE, {2}, spacing.data());
       },
       "attribute spacing_mm: 2 values, 3 expected"},
      {"a spacing of 0",
       [](auto& v) {
         const std::array<double, 3> spacing = {1, 0, 1};
         v.set_attribute("spacing_mm", H5T_IEEE_F64LE, {3}, spacing.data());
       },
       "spacing_mm or image_scale 0"},
      {"an orientation that is none", [](auto& v) { v.set_text("orientation", "RRR\n"); }, "orientation 'RRR"},
      {"a fingerprint of two lines", [](auto& v) { v.set_text("fingerprint", "a\nb"); }, "a b stored"},
      {"a subject of two lines",
       [](auto& v) {
         v.set_strings("subjects/id", {"a\nb", "c", "d"});
       },
       "id: 'a b': control characters"},
      {"options that are no JSON", [](auto& v) { v.set_text("preprocessing", "{\"a\": [[[["); }, "preprocessing"},
      {"a fixed-length name", [](auto& v) { v.set_attribute("name", fixed_string(), {}, "12345678"); },
       "attribute name: expected variable-length strings"},
  };
}

/// The file's bytes changed, then all of it read in a process of its own.
test::Attempt reading_changed(const TemporaryFolder& folder, const std::string& bytes) {
  test::write_bytes(folder / "b.h5", bytes);
  return attempt([&] { read_all(folder / "b.h5"); });
}

}  // namespace

TEST_CASE("a hostile archive is refused with one line and little memory") {
  const TemporaryFolder folder;
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  write_small_archive(folder / "good.h5");
  REQUIRE(error_text([&] { read_all(folder / "good.h5"); }).empty());
  for (const Damage& damage : damages()) {
    INFO(damage.what);
    std::filesystem::copy_file(folder / "good.h5", folder / "a.h5", std::filesystem::copy_options::overwrite_existing);
    {
      const Victim victim(folder / "a.h5");
      damage.apply(victim);
    }
    const test::Attempt done = attempt([&] { read_all(folder / "a.h5"); });
    require_refused(done, damage.message);
    require_refused(done, "a.h5: ");
  }
}

TEST_CASE("strings that share their bytes cannot fill the memory") {
  const TemporaryFolder folder;
  write_small_archive(folder / "a.h5");
  haddr_t where = 0;
  {
    const Victim victim(folder / "a.h5");
    const std::string large(std::size_t{1} << 20, 'x');
    const std::array<const char*, 3> texts = {large.c_str(), "b", "c"};
    const hid_t set = H5Dopen2(victim.id(), "subjects/split", H5P_DEFAULT);
    const hid_t type = H5Dget_type(set);
    REQUIRE(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()) >= 0);
    where = H5Dget_offset(set);
    H5Tclose(type);
    H5Dclose(set);
  }
  std::string bytes = test::read_bytes(folder / "a.h5");
  for (std::size_t row = 1; row < 3; ++row) {
    bytes.replace(where + 16 * row, 16, bytes.substr(where, 16));
  }
  require_refused(reading_changed(folder, bytes), "split: strings of", bytes.size());
  bytes.replace(where, 4, "\xff\xff\xff\x7f");
  require_refused(reading_changed(folder, bytes), "split: strings of", bytes.size());
}

TEST_CASE("a label that the archive does not name is refused, whatever its checksums say") {
  const TemporaryFolder folder;
  write_small_archive(folder / "a.h5");
  {
    const Victim victim(folder / "a.h5");
    const std::string labels(kVoxels, '\2');
    victim.write_chunk("labels", {1, 0, 0, 0}, labels);
    const hid_t set = H5Dopen2(victim.id(), "subjects/labels_xxh3", H5P_DEFAULT);
    std::array<std::uint64_t, 3> sums{};
    H5Dread(set, H5T_STD_U64LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, sums.data());
    sums[1] = xxh3(labels.data(), labels.size());
    H5Dwrite(set, H5T_STD_U64LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, sums.data());
    H5Dclose(set);
  }
  const std::string text = error_text([&] { read_all(folder / "a.h5"); });
  const std::string before = "fingerprint of the tables ";
  REQUIRE(text.find(before) != std::string::npos);
  const std::string forged = text.substr(text.find(before) + before.size(), 16);
  {
    const Victim victim(folder / "a.h5");
    victim.set_text("fingerprint", forged.c_str());
    H5Adelete(victim.id(), "tables_xxh3");
  }
  require_refused(attempt([&] { read_all(folder / "a.h5"); }), "labels of 'p1': index 2, 0..1 allowed");
}

TEST_CASE("places outside the archive are refused") {
  const TemporaryFolder folder;
  const int deflate = GENERATE(0, 9);
  write_small_archive(folder / "a.h5", deflate);
  haddr_t chunk = 0;
  haddr_t table = 0;
  {
    const Victim victim(folder / "a.h5");
    const hid_t images = H5Dopen2(victim.id(), "images", H5P_DEFAULT);
    const Dims start = {1, 0, 0, 0, 0};
    unsigned mask = 0;
    hsize_t size = 0;
    REQUIRE(H5Dget_chunk_info_by_coord(images, start.data(), &mask, &chunk, &size) >= 0);
    H5Dclose(images);
    const hid_t affines = H5Dopen2(victim.id(), "subjects/affine", H5P_DEFAULT);
    table = H5Dget_offset(affines);
    H5Dclose(affines);
  }
  const std::string good = test::read_bytes(folder / "a.h5");
  for (const haddr_t place : {chunk, table}) {
    const std::size_t at = good.find(std::string(reinterpret_cast<const char*>(&place), 8));
    REQUIRE(at != std::string::npos);
    for (const std::uint64_t wrong : {std::uint64_t{good.size()} - 1, std::uint64_t{1} << 40, std::uint64_t{1} << 62}) {
      std::string bytes = good;
      test::poke(bytes, at, wrong);
      require_refused(reading_changed(folder, bytes), place == chunk ? "read the image of 'p1'" : "affine",
                      good.size());
    }
  }
}

TEST_CASE("a truncated archive is refused at every length") {
  const TemporaryFolder folder;
  write_small_archive(folder / "a.h5", GENERATE(0, 9));
  const std::string good = test::read_bytes(folder / "a.h5");
  for (std::size_t length = 0; length < good.size(); length += good.size() / 40) {
    require_refused(reading_changed(folder, good.substr(0, length)), "b.h5: ", good.size());
  }
}

// HDF5 would follow them: found as a crash that came and went with the layout of memory.
TEST_CASE("a string's record that points to no string of its heap is refused, of tables and of attributes") {
  const TemporaryFolder folder;
  write_small_archive(folder / "a.h5", 0);
  const std::string good = test::read_bytes(folder / "a.h5");
  const std::uint64_t heap = good.find("GCOL");
  REQUIRE(heap != std::string::npos);
  int records = 0;  // others are bytes that look like one
  for (std::size_t at = 4; at + 12 < good.size(); ++at) {
    std::uint64_t address = 0;
    std::memcpy(&address, good.data() + at, sizeof address);
    std::uint32_t length = 0;
    std::memcpy(&length, good.data() + at - 4, sizeof length);
    if (address != heap || length == 0 || length > 4096) {
      continue;
    }
    for (const std::uint32_t index : {0x1300U, 0xFFFFU, 0xFFFFFFFFU}) {
      std::string bytes = good;
      std::memcpy(bytes.data() + at + 8, &index, sizeof index);
      INFO("record at " << at - 4 << ", index " << index);
      const test::Attempt done = reading_changed(folder, bytes);
      CHECK(done.exit_code == static_cast<int>(ExitCode::kData));
      records += done.text.find("a string whose place in the file is damaged") != std::string::npos ? 1 : 0;
    }
  }
  CHECK(records >= 60);
}

TEST_CASE("no changed word of an archive gives more than one line or much memory") {
  const TemporaryFolder folder;
  write_small_archive(folder / "a.h5", GENERATE(0, 9));
  const std::string good = test::read_bytes(folder / "a.h5");
  const CounterRng rng(5, RandomPurpose::kSynthetic);
  for (std::uint64_t i = 0; i < 60; ++i) {
    std::string bytes = good;
    const std::size_t at = rng.below(good.size() - 8, 3 * i);
    const std::array<std::uint64_t, 4> words = {0, ~std::uint64_t{0}, std::uint64_t{1} << 31,
                                                rng.below(1 << 16, 3 * i + 1)};
    test::poke(bytes, at, words[rng.below(4, 3 * i + 2)]);
    const test::Attempt done = reading_changed(folder, bytes);
    INFO("word at " << at << " of case " << i << ": " << done.text << ", exit code " << done.exit_code);
    CHECK((done.exit_code == 0 || done.exit_code == static_cast<int>(ExitCode::kData)));
    CHECK(done.text.find('\n') == std::string::npos);
    CHECK(done.peak_bytes <= test::kSlackBytes);
  }
}
