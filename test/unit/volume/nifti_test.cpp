// Reading NIfTI of every type, order and version; each kind of broken file gives one line that says what is wrong.
#include "regatta/volume/nifti.hpp"

#include <cmath>
#include <limits>

#include "files.hpp"
#include "regatta/volume/volume_file.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::error_text;
using regatta::test::NiftiMaker;
using regatta::test::poke;
using regatta::test::TemporaryFolder;
using regatta::test::write_bytes;

namespace {

constexpr Affine kOblique = {0.69, 0.1, -0.4, -12.5, -0.08, 0.7, 0.9, 30.25, 0.15, -0.2, 2.8, 7, 0, 0, 0, 1};

void require_error(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  CHECK(text.find('\n') == std::string::npos);
}

/// The message of reading these bytes as an image.
std::string reading(const TemporaryFolder& folder, const std::string& bytes, const std::string& name = "v.nii") {
  write_bytes(folder / name, bytes);
  return error_text([&] { read_volume(folder / name); });
}

}  // namespace

TEST_CASE("every integer and float type is read in both versions and byte orders, plain and gzip") {
  const TemporaryFolder folder;
  const bool second = GENERATE(false, true);
  const bool swap = GENERATE(false, true);
  for (const int datatype : {2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280}) {
    NiftiMaker maker;
    maker.second = second;
    maker.swap = swap;
    maker.datatype = datatype;
    maker.shape = {3, 4, 19};  // more slices than are read at once
    maker.affine = kOblique;
    maker.values.resize(3 * 4 * 19);
    for (std::size_t i = 0; i < maker.values.size(); ++i) {
      maker.values[i] = static_cast<double>(i % 120);
    }
    const std::string bytes = maker.bytes();
    write_bytes(folder / "v.nii", bytes);
    write_bytes(folder / "v.nii.gz", test::gzip(bytes));
    for (const char* name : {"v.nii", "v.nii.gz"}) {
      INFO("datatype " << datatype << " " << name);
      const Volume volume = read_volume(folder / name);
      REQUIRE(volume.grid.shape == maker.shape);
      bool equal = true;
      for (std::int64_t i = 0; i < 3; ++i) {
        for (std::int64_t j = 0; j < 4; ++j) {
          for (std::int64_t k = 0; k < 19; ++k) {
            const auto file = static_cast<std::size_t>((k * 4 + j) * 3 + i);
            equal = equal && volume.voxels[static_cast<std::size_t>((i * 4 + j) * 19 + k)] ==
                                 static_cast<float>(maker.values[file]);
          }
        }
      }
      CHECK(equal);
      CHECK(volume.affine_source == "sform");
      for (std::size_t i = 0; i < 12; ++i) {
        CHECK(volume.grid.affine[i] == Approx(kOblique[i]));
      }
      CHECK(read_label_volume(folder / name).labels[20] == static_cast<std::int32_t>(volume.voxels[20]));
    }
  }
}

TEST_CASE("slope and intercept are applied, and left out where the slope is 0 or NaN") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.datatype = 4;
  maker.slope = 0.5;
  maker.inter = -3.0;
  write_bytes(folder / "v.nii", maker.bytes());
  CHECK(read_volume(folder / "v.nii").voxels[(2 * 3 + 1) * 2 + 1] == (2 + 4 * 1 + 12 * 1) * 0.5F - 3.0F);
  maker.slope = GENERATE(0.0, std::numeric_limits<double>::quiet_NaN());
  write_bytes(folder / "v.nii", maker.bytes());
  CHECK(read_volume(folder / "v.nii").voxels[(2 * 3 + 1) * 2 + 1] == 18.0F);
}

TEST_CASE("the sform goes before the qform, and the pixdim is used without both") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.affine = {2, 0, 0, 1, 0, 2, 0, 2, 0, 0, 2, 3, 0, 0, 0, 1};
  maker.qform_code = 1;
  maker.pixdim[0] = -1;
  maker.pixdim[1] = 1.5;
  maker.pixdim[2] = 2.5;
  maker.pixdim[3] = 3.5;
  maker.quaternion[2] = std::sqrt(0.5);  // a quarter turn about z
  maker.qoffset[0] = 9;
  const auto read = [&] {
    write_bytes(folder / "v.nii", maker.bytes());
    return read_volume(folder / "v.nii");
  };
  CHECK(read().grid.affine[0] == 2.0);
  maker.sform_code = 0;
  const Volume turned = read();
  CHECK(turned.affine_source == "qform");
  const Affine expected = {0, -2.5, 0, 9, 1.5, 0, 0, 0, 0, 0, -3.5, 0, 0, 0, 0, 1};
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(turned.grid.affine[i] == Approx(expected[i]).margin(1e-6));
  }
  maker.qform_code = 0;
  const Volume plain = read();
  CHECK(plain.affine_source == "pixdim");
  CHECK(spacing_of(plain.grid.affine) == Spacing3{1.5, 2.5, 3.5});
}

TEST_CASE("broken headers are refused by the field that is wrong") {
  const TemporaryFolder folder;
  const std::string good = NiftiMaker{}.bytes();
  REQUIRE(reading(folder, good).empty());
  const auto broken = [&](std::size_t offset, auto value) {
    std::string bytes = good;
    poke(bytes, offset, value);
    return reading(folder, bytes);
  };
  require_error(broken(0, std::int32_t{347}), "not a NIfTI file: header size 347");
  require_error(broken(344, std::int32_t{0}), "not a NIfTI file: magic");
  require_error(broken(345, 'i'), "two-file NIfTI");
  require_error(broken(40, std::int16_t{0}), "dim[0] 0, 1..7 allowed");
  require_error(broken(40, std::int16_t{8}), "dim[0] 8, 1..7 allowed");
  require_error(broken(44, std::int16_t{-3}), "dim[2] -3");
  require_error(broken(44, std::int16_t{0}), "dim[2] 0");
  require_error(broken(70, std::int16_t{128}), "datatype 128, allowed: integers");
  require_error(broken(70, std::int16_t{32}), "datatype 32");
  require_error(broken(108, 100.0F), "vox_offset 100");
  require_error(broken(108, std::numeric_limits<float>::quiet_NaN()), "vox_offset nan");
  require_error(broken(280, std::numeric_limits<float>::infinity()), "sform affine inf");
  require_error(broken(280, 0.0F), "singular or not finite");
  std::string vector = good;
  poke(vector, 40, std::int16_t{5});
  poke(vector, 48, std::int16_t{1});
  poke(vector, 50, std::int16_t{3});
  require_error(reading(folder, vector), "dim[5] 3: a vector image");
}

TEST_CASE("sizes that overflow or that the file cannot hold are refused before anything is allocated") {
  const TemporaryFolder folder;
  std::string bytes = NiftiMaker{}.bytes();
  for (const std::size_t offset : {42U, 44U, 46U}) {
    poke(bytes, offset, std::int16_t{32767});
  }
  require_error(reading(folder, bytes), "dimensions overflow");
  poke(bytes, 46, std::int16_t{10});
  require_error(reading(folder, bytes), "truncated: the header asks for 42947");
  require_error(reading(folder, test::gzip(bytes), "v.nii.gz"), "cannot hold them");
  NiftiMaker maker;
  maker.second = true;
  std::string large = maker.bytes();
  for (const std::size_t offset : {24U, 32U, 40U}) {
    poke(large, offset, std::int64_t{1} << 62);
  }
  require_error(reading(folder, large), "dim[1] 4611686018427387904");
}

TEST_CASE("truncated, lengthened and damaged files are refused") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.shape = {20, 20, 20};
  const std::string good = maker.bytes();
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{3}, std::size_t{200}, std::size_t{352}, good.size() - 1}) {
    require_error(reading(folder, good.substr(0, length)), "truncated");
  }
  require_error(reading(folder, good + std::string((1 << 20) + 1, 'x')), "wrong size");
  const std::string packed = test::gzip(good);
  for (const std::size_t length : {packed.size() / 4, packed.size() - 9, packed.size() - 1}) {
    require_error(reading(folder, packed.substr(0, length), "v.nii.gz"), "v.nii.gz: ");
  }
  require_error(reading(folder, test::gzip(good + std::string((1 << 20) + 1, 'x')), "v.nii.gz"),
                "holds more than its header implies");
  std::string damaged = packed;
  damaged[packed.size() - 6] = static_cast<char>(damaged[packed.size() - 6] ^ 1);  // its CRC-32
  require_error(reading(folder, damaged, "v.nii.gz"), "damaged gzip data");
  require_error(error_text([&] { read_volume(folder / "none.nii"); }), "none.nii: cannot open");
  require_error(error_text([&] { read_volume(folder.path()); }), "unknown kind of file, .nii, .nii.gz, .hdr with");
}

TEST_CASE("bytes behind the voxels, and a bitpix that contradicts the datatype, do not stop a scan from being read") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.datatype = 4;
  const std::string good = maker.bytes();
  write_bytes(folder / "good.nii", good);
  const std::vector<float> voxels = read_volume(folder / "good.nii").voxels;
  for (const std::size_t trailing : {1U, 160U, 1U << 20}) {
    CHECK(reading(folder, good + std::string(trailing, 'x')).empty());
    CHECK(read_volume(folder / "v.nii").voxels == voxels);
    CHECK(reading(folder, test::gzip(good + std::string(trailing, 'x')), "v.nii.gz").empty());
    CHECK(read_volume(folder / "v.nii.gz").voxels == voxels);
  }
  maker.second = GENERATE(false, true);
  std::string bytes = maker.bytes();
  for (const int bitpix : {0, 8, 32, -16}) {
    poke(bytes, maker.second ? 14 : 72, static_cast<std::int16_t>(bitpix));
    CHECK(reading(folder, bytes).empty());
    CHECK(read_volume(folder / "v.nii").voxels == voxels);
    CHECK(read_volume_header(folder / "v.nii", VolumePart::kImage).voxel_type == "int16");
  }
}

TEST_CASE("no single flipped bit of a header crashes or gives more than one line") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.second = GENERATE(false, true);
  const std::string good = maker.bytes();
  for (std::size_t bit = 0; bit < 8 * (good.size() - 24 * 4); ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    const std::string text = reading(folder, bytes);
    CHECK(text.size() < 600);
    CHECK(text.find('\n') == std::string::npos);
  }
}

TEST_CASE("voxels that are not finite, and labels that are no integers, are named by their place") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.values.assign(24, 1.0);
  maker.values[1 * 12 + 2 * 4 + 3] = std::numeric_limits<double>::quiet_NaN();
  require_error(reading(folder, maker.bytes()), "voxel [3,2,1]: nan");
  maker.values[1 * 12 + 2 * 4 + 3] = std::numeric_limits<double>::infinity();
  require_error(reading(folder, maker.bytes()), "voxel [3,2,1]: inf");
  maker.values[1 * 12 + 2 * 4 + 3] = 2.5;
  write_bytes(folder / "v.nii", maker.bytes());
  require_error(error_text([&] { read_label_volume(folder / "v.nii"); }), "voxel [3,2,1]: value 2.5");
}

TEST_CASE("labels that are whole but for rounding are rounded and counted") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.values.assign(24, 0.0);
  maker.values[1] = 2.99985;
  maker.values[2] = 3.00005;
  maker.values[3] = 46.991;
  maker.values[4] = -1.0099;
  maker.values[5] = 47.0;
  write_bytes(folder / "v.nii", maker.bytes());
  const LabelVolume labels = read_label_volume(folder / "v.nii");
  CHECK(labels.rounded == 4);
  CHECK(labels.labels[6] == 3);  // [1,0,0]
  CHECK(labels.labels[12] == 3);
  CHECK(labels.labels[18] == 47);
  CHECK(labels.labels[2] == -1);  // [0,1,0]
  CHECK(labels.labels[8] == 47);
  maker.values[4] = -1.02;
  maker.datatype = 64;
  write_bytes(folder / "v.nii", maker.bytes());
  require_error(error_text([&] { read_label_volume(folder / "v.nii"); }),
                "voxel [0,1,0]: value -1.02, whole numbers of 32 bits expected of labels and masks, within 0.01");
  maker.values[4] = 2147483647.6;
  write_bytes(folder / "v.nii", maker.bytes());
  require_error(error_text([&] { read_label_volume(folder / "v.nii"); }), "voxel [0,1,0]: value 2147483647.6");
}

TEST_CASE("labels stored with a slope, as nibabel writes them into an integer header, are rounded") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.datatype = 4;
  maker.slope = 47.0 / 65535.0;
  maker.inter = 47.0 * 32768.0 / 65535.0;
  maker.values.assign(24, -32768.0);
  maker.values[0] = -28585.0;  // 2.99994
  maker.values[1] = 32767.0;   // 47
  write_bytes(folder / "v.nii", maker.bytes());
  CHECK(read_volume(folder / "v.nii").voxels[0] == Approx(2.99994).epsilon(1e-6));
  const LabelVolume labels = read_label_volume(folder / "v.nii");
  CHECK(labels.labels[0] == 3);
  CHECK(labels.labels[6] == 47);
  CHECK(labels.labels[1] == 0);
}

TEST_CASE("what we write as NIfTI we read back, affine and all") {
  const TemporaryFolder folder;
  const char* name = GENERATE("w.nii", "w.nii.gz");
  const Grid grid = {{5, 4, 3}, kOblique};
  std::vector<float> voxels(60);
  for (std::size_t i = 0; i < 60; ++i) {
    voxels[i] = 0.25F * static_cast<float>(i) - 3.0F;
  }
  write_nifti(folder / name, std::span<const float>(voxels), grid);
  const Volume back = read_volume(folder / name);
  CHECK(back.voxels == voxels);
  CHECK(back.grid.shape == grid.shape);
  CHECK(same_grid(back.grid.affine, grid.affine, grid.shape, 1e-5));
  std::vector<std::int32_t> labels(60, 2035);
  labels[7] = -1;
  write_nifti(folder / name, std::span<const std::int32_t>(labels), grid);
  CHECK(read_label_volume(folder / name).labels == labels);
  CHECK(read_volume_header(folder / name, VolumePart::kLabels).voxel_type == "int32");
}

TEST_CASE("the qform that we write agrees with the sform for all turns and mirrors") {
  const TemporaryFolder folder;
  for (int turn = 0; turn < 64; ++turn) {
    const double a = 0.4 + turn;
    const double b = 2.3 * turn;
    const double mirror = turn % 2 == 0 ? 1.0 : -1.0;
    const Affine first = {std::cos(a), -std::sin(a), 0, 0, std::sin(a), std::cos(a), 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    const Affine second = {1, 0, 0, 0, 0, std::cos(b), -std::sin(b), 0, 0, std::sin(b), std::cos(b), 0, 0, 0, 0, 1};
    Affine affine = multiply(multiply(first, second), {0.7, 0, 0, 0, 0, 1.1, 0, 0, 0, 0, 3.0 * mirror, 0, 0, 0, 0, 1});
    affine[3] = 10;
    affine[7] = -20;
    const Grid grid = {{4, 5, 6}, affine};
    write_nifti(folder / "w.nii", std::vector<float>(120, 1.0F), grid);
    CHECK(same_grid(read_volume(folder / "w.nii").grid.affine, affine, grid.shape, 1e-4));
    std::string bytes = test::read_bytes(folder / "w.nii");
    poke(bytes, 254, std::int16_t{0});
    write_bytes(folder / "w.nii", bytes);
    const Volume qform = read_volume(folder / "w.nii");
    CHECK(qform.affine_source == "qform");
    CHECK(same_grid(qform.grid.affine, affine, grid.shape, 5e-3));  // float32 quaternions near half a turn
  }
}

TEST_CASE("displacements are written in LPS millimetres") {
  const TemporaryFolder folder;
  const Grid grid = {{2, 3, 4}, kOblique};
  std::vector<float> field(72, 0.0F);
  const std::size_t at = (1 * 3 + 2) * 4 + 3;
  field[at] = 1.0F;
  field[24 + at] = -2.0F;
  field[48 + at] = 0.5F;
  write_displacement(folder / "d.nii", field, grid);
  const std::string bytes = test::read_bytes(folder / "d.nii");
  REQUIRE(bytes.size() == 352 + 72 * 4);
  CHECK(test::peek<std::int16_t>(bytes, 40) == 5);
  CHECK(test::peek<std::int16_t>(bytes, 48) == 1);
  CHECK(test::peek<std::int16_t>(bytes, 50) == 3);
  CHECK(test::peek<std::int16_t>(bytes, 68) == 1007);
  CHECK(test::peek<float>(bytes, 112) == 1.0F);
  const Point3 mm = map_vector(kOblique, {1.0, -2.0, 0.5});
  const std::size_t voxel = (3 * 3 + 2) * 2 + 1;
  CHECK(test::peek<float>(bytes, 352 + 4 * voxel) == Approx(-mm[0]));
  CHECK(test::peek<float>(bytes, 352 + 4 * (24 + voxel)) == Approx(-mm[1]));
  CHECK(test::peek<float>(bytes, 352 + 4 * (48 + voxel)) == Approx(mm[2]));
}
