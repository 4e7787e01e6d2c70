// VoxelMorph's npz files: stored and deflated, both orders, and what is refused.
#include <numeric>

#include "files.hpp"
#include "regatta/volume/volume_file.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::error_text;
using regatta::test::npy;
using regatta::test::TemporaryFolder;
using regatta::test::write_bytes;

namespace {

constexpr Shape3 kShape = {4, 3, 2};

std::vector<double> counted() {
  std::vector<double> values(24);
  std::iota(values.begin(), values.end(), 0.0);
  return values;
}

std::string reading(const TemporaryFolder& folder, const std::string& bytes) {
  write_bytes(folder / "x.npz", bytes);
  return error_text([&] { read_volume(folder / "x.npz"); });
}

}  // namespace

TEST_CASE("vol and seg are read from stored and deflated npz in C and Fortran order") {
  const TemporaryFolder folder;
  const bool deflated = GENERATE(false, true);
  const char* descr = GENERATE("<f8", "<f4", ">f8", "<i2");
  write_bytes(folder / "x.npz",
              test::zip({{"vol.npy", npy(kShape, counted(), descr)}, {"seg.npy", npy(kShape, counted(), "<f8", true)}},
                        deflated));
  const Volume volume = read_volume(folder / "x.npz", "LIA");
  CHECK(volume.grid.shape == kShape);
  CHECK(volume.affine_source == "none");
  CHECK(orientation_of(volume.grid.affine) == "LIA");
  const LabelVolume labels = read_label_volume(folder / "x.npz");
  for (std::int64_t d = 0; d < 4; ++d) {
    for (std::int64_t h = 0; h < 3; ++h) {
      for (std::int64_t w = 0; w < 2; ++w) {
        const auto at = static_cast<std::size_t>((d * 3 + h) * 2 + w);
        CHECK(volume.voxels[at] == static_cast<float>(at));
        CHECK(labels.labels[at] == w * 12 + h * 4 + d);
      }
    }
  }
}

TEST_CASE("labels of an npz that are whole but for rounding are rounded in both orders") {
  const TemporaryFolder folder;
  std::vector<double> values = counted();
  values[23] = 22.9998;
  write_bytes(folder / "x.npz", test::zip({{"seg.npy", npy(kShape, values, "<f8", GENERATE(false, true))}}, true));
  const LabelVolume labels = read_label_volume(folder / "x.npz");
  CHECK(labels.labels[23] == 23);
  CHECK(labels.rounded == 1);
}

TEST_CASE("broken npz files are refused with one line") {
  const TemporaryFolder folder;
  const std::string good = test::zip({{"vol.npy", npy(kShape, counted())}}, true);
  REQUIRE(reading(folder, good).empty());
  for (std::size_t length = 0; length < good.size(); ++length) {
    const std::string text = reading(folder, good.substr(0, length));
    CHECK(text.find("x.npz") != std::string::npos);
    CHECK(text.find('\n') == std::string::npos);
  }
  CHECK(reading(folder, test::zip({{"seg.npy", npy(kShape, counted())}}, true))
            .find("no array 'vol.npy', it has: seg.npy") != std::string::npos);
  CHECK(reading(folder, test::zip({{"vol.npy", npy({4, 3, 3}, counted())}}, true)).find("needs 288 bytes, 192 found") !=
        std::string::npos);
  CHECK(reading(folder, test::zip({{"vol.npy", npy(kShape, counted(), "|O8")}}, false)).find("npy type") !=
        std::string::npos);
}

TEST_CASE("no single flipped bit of an npz goes unnoticed or crashes") {
  const TemporaryFolder folder;
  std::vector<double> values = counted();
  const std::string good = test::zip({{"vol.npy", npy(kShape, values)}}, true);
  write_bytes(folder / "x.npz", good);
  const Volume reference = read_volume(folder / "x.npz");
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    write_bytes(folder / "x.npz", bytes);
    Volume volume;
    if (error_text([&] { volume = read_volume(folder / "x.npz"); }).empty()) {
      CHECK(volume.voxels == reference.voxels);  // a time stamp or another field without meaning
    }
  }
}
