// Pairs of header and voxels, and single frames of a series.
#include "attempt.hpp"
#include "files.hpp"
#include "regatta/base/text.hpp"
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

void require_error(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  CHECK(text.find('\n') == std::string::npos);
}

void write_pair(const TemporaryFolder& folder, const std::string& name, const NiftiMaker& maker, bool packed) {
  write_bytes(folder / (name + ".hdr"), maker.header());
  write_bytes(folder / (name + (packed ? ".img.gz" : ".img")), packed ? test::gzip(maker.voxels()) : maker.voxels());
}

/// [D, H, W] of a frame of a file whose values are 0, 1, 2 ... in file order.
std::vector<float> counted(const Shape3& shape, std::int64_t frame) {
  std::vector<float> out;
  for (std::int64_t i = 0; i < shape[0]; ++i) {
    for (std::int64_t j = 0; j < shape[1]; ++j) {
      for (std::int64_t k = 0; k < shape[2]; ++k) {
        out.push_back(static_cast<float>(((frame * shape[2] + k) * shape[1] + j) * shape[0] + i));
      }
    }
  }
  return out;
}

}  // namespace

TEST_CASE("a pair of header and voxels is read by either name, in both versions and byte orders") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.pair = true;
  maker.second = GENERATE(false, true);
  maker.swap = GENERATE(false, true);
  maker.datatype = 4;
  maker.shape = {5, 4, 18};
  maker.affine = {0, 2, 0, -7, 1, 0, 0, 3, 0, 0, 3, 1, 0, 0, 0, 1};
  write_pair(folder, "plain", maker, false);
  write_pair(folder, "packed", maker, true);
  for (const char* name : {"plain.hdr", "plain.img", "packed.hdr", "packed.img.gz"}) {
    INFO(name);
    CHECK(is_volume_name(name));
    const Volume volume = read_volume(folder / name);
    CHECK(volume.voxels == counted(maker.shape, 0));
    CHECK(volume.grid.affine == maker.affine);
    CHECK(volume.source == (folder / name).string());
    CHECK(read_volume_header(folder / name, VolumePart::kImage).voxel_type == "int16");
    CHECK(read_label_volume(folder / name).labels.back() == 5 * 4 * 18 - 1);
  }
}

TEST_CASE("a pair whose voxel file has bytes before the voxels is read from there") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.pair = true;
  std::string header = maker.header();
  poke(header, 108, 7.0F);
  write_bytes(folder / "a.hdr", header);
  write_bytes(folder / "a.img", "7 bytes" + maker.voxels());
  CHECK(read_volume(folder / "a.hdr").voxels == counted(maker.shape, 0));
}

TEST_CASE("broken pairs and Analyze files are refused by name") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.pair = true;
  const auto reading = [&](const std::string& name) { return error_text([&] { read_volume(folder / name); }); };
  write_bytes(folder / "alone.hdr", maker.header());
  require_error(reading("alone.hdr"), "alone.img: cannot open");
  write_bytes(folder / "alone2.img", maker.voxels());
  require_error(reading("alone2.img"), "alone2.hdr: cannot open");

  write_pair(folder, "short", maker, false);
  write_bytes(folder / "short.img", maker.voxels().substr(1));
  require_error(reading("short.hdr"), "short.img: truncated: the header asks for 96 bytes, the file has 95");
  write_bytes(folder / "short.img", maker.voxels() + "x");
  CHECK(reading("short.hdr").empty());
  write_bytes(folder / "short.img", maker.voxels() + std::string((1 << 20) + 1, 'x'));
  require_error(reading("short.hdr"), "short.img: wrong size");
  write_bytes(folder / "short.hdr", maker.header().substr(0, 300));
  require_error(reading("short.img"), "short.hdr: header: truncated");

  write_pair(folder, "both", maker, false);
  write_pair(folder, "both", maker, true);
  require_error(reading("both.hdr"), "both.hdr: both both.img and both.img.gz lie beside it");
  CHECK(reading("both.img").empty());
  CHECK(reading("both.img.gz").empty());

  const bool swap = GENERATE(false, true);
  maker.swap = swap;
  std::string analyze = maker.header().substr(0, 348);
  poke(analyze, 344, std::int32_t{0});
  write_bytes(folder / "old.hdr", analyze);
  write_bytes(folder / "old.img", maker.voxels());
  require_error(reading("old.img"), "old.hdr: an Analyze 7.5 file");
  require_error(reading("old.hdr"), "convert it to NIfTI");

  write_bytes(folder / "one.hdr", NiftiMaker{}.bytes());
  write_bytes(folder / "one.img", maker.voxels());
  require_error(reading("one.hdr"), "one.hdr: the header of a one-file NIfTI (.nii)");
  write_bytes(folder / "two.nii", maker.bytes());
  require_error(reading("two.nii"), "two.nii: the header of a two-file NIfTI (.hdr with .img)");
}

TEST_CASE("each frame of a series is read alone, from every kind of file") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.second = GENERATE(false, true);
  maker.datatype = 512;
  maker.frames = 5;
  maker.shape = {6, 3, 17};
  write_bytes(folder / "s.nii", maker.bytes());
  write_bytes(folder / "s.nii.gz", test::gzip(maker.bytes()));
  maker.pair = true;
  write_pair(folder, "p", maker, false);
  write_pair(folder, "q", maker, true);
  for (const char* name : {"s.nii", "s.nii.gz", "p.hdr", "q.img.gz"}) {
    INFO(name);
    for (int frame = 0; frame < 5; ++frame) {
      CHECK(read_volume(folder / name, "RAS", frame).voxels == counted(maker.shape, frame));
      const auto labels = read_label_volume(folder / name, "RAS", frame).labels;
      CHECK(labels.front() == frame * 6 * 3 * 17);
      CHECK(read_volume_header(folder / name, VolumePart::kImage, "RAS", frame).frames == 5);
    }
    const auto failing = [&](int frame) {
      return error_text([&] { read_volume(folder / name, "RAS", frame); }) +
             error_text([&] { read_volume_header(folder / name, VolumePart::kImage, "RAS", frame); });
    };
    require_error(failing(5), str(name, ": frame 5, the file has 5: 0..4 allowed"));
    require_error(failing(-1), str(name, ": header: dim[4] 5: a series or vector image, one scalar volume expected"));
    require_error(failing(-1), "name its frame, 0..4");
  }
}

TEST_CASE("a file of one volume has frame 0 and no other") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.frames = GENERATE(0, 1);
  write_bytes(folder / "v.nii", maker.bytes());
  write_bytes(folder / "v.npz", test::zip({{"vol.npy", test::npy({2, 1, 1}, {0.5, 0.25})}}, true));
  CHECK(read_volume(folder / "v.nii", "RAS", 0).voxels == read_volume(folder / "v.nii").voxels);
  CHECK(read_volume_header(folder / "v.nii", VolumePart::kImage).frames == 1);
  CHECK(read_volume(folder / "v.npz", "RAS", 0).voxels == std::vector<float>{0.5F, 0.25F});
  require_error(error_text([&] { read_volume(folder / "v.nii", "RAS", 1); }), "frame 1, the file has 1: 0..0 allowed");
  require_error(error_text([&] { read_volume(folder / "v.npz", "RAS", 2); }), "v.npz: frame 2, the file has 1");
}

TEST_CASE("the end of a series and its checksum are checked whichever frame is read") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.frames = 3;
  maker.shape = {9, 9, 9};
  const std::string good = test::gzip(maker.bytes());
  std::string damaged = good;
  damaged[good.size() - 7] = static_cast<char>(damaged[good.size() - 7] ^ 1);  // its CRC-32
  write_bytes(folder / "crc.nii.gz", damaged);
  write_bytes(folder / "short.nii.gz", test::gzip(maker.bytes().substr(0, maker.bytes().size() - 1)));
  write_bytes(folder / "long.nii.gz", test::gzip(maker.bytes() + std::string((1 << 20) + 1, 'x')));
  write_bytes(folder / "short.nii", maker.bytes().substr(0, maker.bytes().size() - 1));
  const int frame = GENERATE(0, 1, 2);
  const auto reading = [&](const char* name) { return error_text([&] { read_volume(folder / name, "RAS", frame); }); };
  require_error(reading("crc.nii.gz"), "damaged gzip data");
  require_error(reading("short.nii.gz"), "truncated");
  require_error(reading("long.nii.gz"), "holds more than its header implies");
  require_error(reading("short.nii"), "truncated");
}

TEST_CASE("vector images and colours stay refused") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.frames = 3;
  std::string vector = maker.bytes();
  poke(vector, 68, std::int16_t{1007});
  write_bytes(folder / "v.nii", vector);
  require_error(error_text([&] { read_volume(folder / "v.nii", "RAS", 0); }), "intent 1007: a vector image");
  std::string colour = maker.bytes();
  poke(colour, 70, std::int16_t{128});
  poke(colour, 72, std::int16_t{24});
  write_bytes(folder / "v.nii", colour);
  require_error(error_text([&] { read_volume(folder / "v.nii", "RAS", 0); }), "no complex, RGB or binary");
}

TEST_CASE("a frame of a compressed series is read without holding the others") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  maker.datatype = 2;
  maker.shape = {64, 64, 64};
  maker.frames = 200;  // 50 MiB
  maker.values.assign(1, 0.0);
  write_bytes(folder / "s.nii.gz", test::gzip(maker.header() + std::string(200 << 18, '\1')));
  const auto done = test::attempt([&] {
    if (read_volume(folder / "s.nii.gz", "RAS", 100).voxels.at(77) != 1.0F) {
      throw std::runtime_error("wrong voxel");
    }
  });
  INFO(done.text);
  CHECK(done.exit_code == 0);
  CHECK(done.peak_bytes < test::kSlackBytes);
}

TEST_CASE("a gzip file that was joined from several is read") {
  const TemporaryFolder folder;
  NiftiMaker maker;
  const std::string bytes = maker.bytes();
  write_bytes(folder / "v.nii.gz", test::gzip(bytes.substr(0, 100)) + test::gzip(bytes.substr(100)));
  CHECK(read_volume(folder / "v.nii.gz").voxels == counted(maker.shape, 0));
}
