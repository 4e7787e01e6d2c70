// FreeSurfer's .mgz and .mgh: types, frames, vox2ras, labels; broken files give one line.
#include <algorithm>
#include <cmath>
#include <limits>

#include "attempt.hpp"
#include "files.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/volume_file.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "volume/pack/coded_volume.hpp"

using namespace regatta;
using regatta::test::error_text;
using regatta::test::TemporaryFolder;

namespace {

/// An MGH file; its fields by offset, big-endian.
struct MghMaker {
  std::int32_t type = 3;
  std::array<std::int32_t, 4> dims = {4, 3, 2, 1};
  std::int16_t good_ras = 1;
  std::array<float, 3> delta = {1, 1, 1};
  std::array<float, 9> axes = {-1, 0, 0, 0, 0, -1, 0, 1, 0};  // FreeSurfer's conformed LIA
  std::array<float, 3> centre = {0, 0, 0};
  std::vector<double> values;  ///< file order; empty: 0, 1, 2 ...
  std::string footer = "tr and tags";

  std::string header() const {
    std::string out(284, '\0');
    put(out, 0, std::int32_t{1});
    for (std::size_t i = 0; i < 4; ++i) {
      put(out, 4 + 4 * i, dims[i]);
    }
    put(out, 20, type);
    put(out, 28, good_ras);
    for (std::size_t i = 0; i < 3; ++i) {
      put(out, 30 + 4 * i, delta[i]);
      put(out, 78 + 4 * i, centre[i]);
    }
    for (std::size_t i = 0; i < 9; ++i) {
      put(out, 42 + 4 * i, axes[i]);
    }
    return out;
  }

  std::string voxels() const {
    std::string out;
    const auto count = static_cast<std::size_t>(dims[0]) * static_cast<std::size_t>(dims[1]) *
                       static_cast<std::size_t>(dims[2]) * static_cast<std::size_t>(dims[3]);
    for (std::size_t i = 0; i < count; ++i) {
      const double value = values.empty() ? static_cast<double>(i) : values[i];
      switch (type) {
        case 0: add(out, static_cast<std::uint8_t>(value)); break;
        case 1: add(out, static_cast<std::int32_t>(value)); break;
        case 3: add(out, static_cast<float>(value)); break;
        case 4: add(out, static_cast<std::int16_t>(value)); break;
        default: add(out, static_cast<std::uint16_t>(value)); break;
      }
    }
    return out;
  }

  std::string bytes() const { return header() + voxels() + footer; }

  template <class T>
  static void put(std::string& out, std::size_t at, T value) {
    std::string raw(reinterpret_cast<const char*>(&value), sizeof value);
    std::reverse(raw.begin(), raw.end());
    out.replace(at, sizeof value, raw);
  }

  template <class T>
  static void add(std::string& out, T value) {
    out.resize(out.size() + sizeof value);
    put(out, out.size() - sizeof value, value);
  }
};

std::string reading(const TemporaryFolder& folder, const std::string& bytes, const std::string& name = "v.mgh") {
  test::write_bytes(folder / name, bytes);
  return error_text([&] { read_volume(folder / name); });
}

void require_error(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  CHECK(text.find('\n') == std::string::npos);
}

}  // namespace

TEST_CASE("every type of an MGH file is read, plain and as mgz, by both readers") {
  const TemporaryFolder folder;
  MghMaker maker;
  maker.type = GENERATE(0, 1, 3, 4, 10);
  maker.dims = {5, 4, 19, 1};  // more slices than are read at once
  maker.values.resize(5 * 4 * 19);
  for (std::size_t i = 0; i < maker.values.size(); ++i) {
    maker.values[i] = static_cast<double>(i % 120);
  }
  test::write_bytes(folder / "v.mgh", maker.bytes());
  test::write_bytes(folder / "v.mgz", test::gzip(maker.bytes()));
  for (const char* name : {"v.mgh", "v.mgz"}) {
    const Volume volume = read_volume(folder / name);
    REQUIRE(volume.grid.shape == Shape3{5, 4, 19});
    bool equal = true;
    for (std::size_t at = 0; at < volume.voxels.size(); ++at) {
      const std::size_t i = at / (4 * 19);
      const std::size_t j = at / 19 % 4;
      const std::size_t k = at % 19;
      equal = equal && volume.voxels[at] == static_cast<float>(((k * 4 + j) * 5 + i) % 120);
    }
    CHECK(equal);
    CodedVolume coded;
    if (read_coded_volume(folder / name, -1, coded)) {
      CHECK(to_volume(coded).voxels == volume.voxels);
    } else {
      CHECK((maker.type == 1 || maker.type == 3));
    }
  }
}

TEST_CASE("vox2ras of an MGH file: the centre lies at half the size, axes are columns") {
  const TemporaryFolder folder;
  MghMaker maker;
  maker.delta = {1.0F, 1.25F, 2.0F};
  maker.centre = {5.0F, -6.0F, 7.5F};
  test::write_bytes(folder / "v.mgh", maker.bytes());
  const VolumeHeader header = read_volume_header(folder / "v.mgh", VolumePart::kImage);
  CHECK(header.grid.affine == Affine{-1, 0, 0, 7, 0, 0, 2, -8, 0, -1.25, 0, 9.375, 0, 0, 0, 1});
  CHECK(orientation_of(header.grid.affine) == "LIA");
  CHECK(header.affine_source == "vox2ras");
  CHECK(header.space.sform_code == 1);
  maker.good_ras = 0;
  test::write_bytes(folder / "v.mgh", maker.bytes());
  const VolumeHeader bare = read_volume_header(folder / "v.mgh", VolumePart::kImage);
  CHECK(orientation_of(bare.grid.affine) == "LIA");
  CHECK(spacing_of(bare.grid.affine) == Spacing3{1, 1, 1});
  CHECK(bare.affine_source == "pixdim");
  CHECK(bare.space.sform_code == 0);
}

TEST_CASE("labels and frames of an MGH file") {
  const TemporaryFolder folder;
  MghMaker maker;
  maker.type = 1;
  maker.dims = {2, 2, 1, 3};
  maker.values = {0, 2, 4, 251, 1001, 2035, 12175, 0, 5, 6, 7, 8};
  test::write_bytes(folder / "aparc+aseg.mgz", test::gzip(maker.bytes()));
  CHECK(read_label_volume(folder / "aparc+aseg.mgz", "RAS", 1).labels ==
        std::vector<std::int32_t>{1001, 12175, 2035, 0});
  require_error(error_text([&] { read_label_volume(folder / "aparc+aseg.mgz"); }), "name its frame, 0..2");
  require_error(error_text([&] { read_label_volume(folder / "aparc+aseg.mgz", "RAS", 3); }), "frame 3, the file has 3");
}

TEST_CASE("broken MGH files are refused by the field that is wrong, with little memory") {
  const TemporaryFolder folder;
  const std::string good = MghMaker{}.bytes();
  REQUIRE(reading(folder, good).empty());
  const auto broken = [&](std::size_t offset, auto value) {
    std::string bytes = good;
    MghMaker::put(bytes, offset, value);
    return reading(folder, bytes);
  };
  require_error(broken(0, std::int32_t{2}), "v.mgh: not an MGH file: version 2, 1 expected");
  require_error(broken(4, std::int32_t{0}), "width 0, 1..1048576 allowed");
  require_error(broken(8, std::int32_t{-5}), "height -5");
  require_error(broken(12, std::int32_t{1 << 30}), "depth 1073741824");
  require_error(broken(16, std::int32_t{0}), "nframes 0");
  require_error(broken(20, std::int32_t{2}), "type 2, allowed: 0 (uint8)");
  require_error(broken(30, std::numeric_limits<float>::quiet_NaN()), "vox2ras nan");
  require_error(broken(34, 0.0F), "singular or not finite");
  require_error(reading(folder, good.substr(0, 200)), "header: truncated");
  require_error(reading(folder, good.substr(0, 300)), "truncated: the header asks for 380 bytes, the file has 300");
  require_error(reading(folder, test::gzip(good.substr(0, 300)), "v.mgz"), "truncated");
  CHECK(reading(folder, good.substr(0, 380)).empty());  // without a footer
  MghMaker large;
  large.dims = {1300, 1300, 1331, 2};
  const std::string claims = large.header() + std::string(25, 'x');
  test::write_bytes(folder / "large.mgz", test::gzip(claims));
  test::require_refused(test::attempt([&] { read_volume(folder / "large.mgz", "RAS", 0); }), "cannot hold them");
  test::write_bytes(folder / "bomb.mgz", test::gzip(good + std::string(std::size_t{64} << 20, '\0')));
  test::require_refused(test::attempt([&] { read_volume(folder / "bomb.mgz"); }), "holds more than its header implies");
  for (std::int32_t& n : large.dims) {
    n = 1 << 20;
  }
  require_error(reading(folder, large.header()), "dimensions overflow");
}
