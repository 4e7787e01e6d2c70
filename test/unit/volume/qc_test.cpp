// QC pictures: they are PNG files of the expected size, slices show the right voxels, text and lines land where they
// must.
#include "regatta/volume/qc.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include <png.h>

#include "files.hpp"
#include "regatta/base/text.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "volume/grid/middle.hpp"
#include "volume/picture/canvas.hpp"
#include "volume/picture/slice.hpp"

using namespace regatta;

namespace {

int png_size(const std::string& png, std::size_t offset) {
  int value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<unsigned char>(png[offset + i]);
  }
  return value;
}

int color_type(const std::string& png) {
  return png[25];
}

std::vector<Rgb> read_png(const std::filesystem::path& path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  REQUIRE(png_image_begin_read_from_file(&image, path.c_str()) != 0);
  image.format = PNG_FORMAT_RGB;
  std::vector<Rgb> pixels(static_cast<std::size_t>(image.width) * image.height);
  REQUIRE(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr) != 0);
  return pixels;
}

std::function<float(std::size_t)> voxel_of(const std::vector<float>& image) {
  return [&image](std::size_t i) { return image[i]; };
}

}  // namespace

TEST_CASE("slices of all orientations show the same anatomy the same way up") {
  // One bright voxel at the patient's right, front, top of a 7x9x5 RAS volume; then the same in LIA.
  const Shape3 ras = {7, 9, 5};
  std::vector<float> volume(315, 0.0F);
  volume[(3 * 9 + 7) * 5 + 4] = 1.0F;  // middle of R, front, top
  const SliceView view(Plane::kSagittal, ras, {1, 1, 1}, "RAS", 1.0);
  CHECK(view.width() == 9);
  CHECK(view.height() == 5);
  CHECK(view.grey(volume).at(7, 0) == Rgb{255, 255, 255});
  const Shape3 lia = {7, 5, 9};
  std::vector<float> turned(315, 0.0F);
  turned[(3 * 5 + 0) * 9 + 7] = 1.0F;
  const SliceView other(Plane::kSagittal, lia, {1, 1, 1}, "LIA", 1.0);
  CHECK(other.grey(turned).at(7, 0) == Rgb{255, 255, 255});
  const auto pixel = other.pixel({3, 0, 7});
  CHECK(pixel[0] == Approx(7.0));
  CHECK(pixel[1] == Approx(0.0).margin(1e-9));
}

TEST_CASE("a view shows the slice that it is cut at") {
  std::vector<float> volume(315, 0.0F);
  volume[(5 * 9 + 7) * 5 + 4] = 1.0F;  // right of the middle slice
  SliceView view(Plane::kSagittal, {7, 9, 5}, {1, 1, 1}, "RAS", 1.0);
  CHECK(view.grey(volume).at(7, 0) == Rgb{0, 0, 0});
  view.cut_at({5, 0, 0});
  CHECK(view.grey(volume).at(7, 0) == Rgb{255, 255, 255});
}

TEST_CASE("slices go through half of the object, and never between two halves") {
  const auto slab = [](std::int64_t first, std::int64_t last, std::int64_t from, std::int64_t to) {
    return [=](std::size_t i) {
      const auto d = static_cast<std::int64_t>(i) / 100;
      return (d >= first && d < last) || (d >= from && d < to);
    };
  };
  CHECK(middle_of({20, 10, 10}, slab(2, 7, 0, 0)) == Shape3{4, 4, 4});
  const Shape3 lungs = middle_of({20, 10, 10}, slab(2, 6, 12, 17));
  CHECK((lungs[0] >= 12 && lungs[0] < 17));
  const Shape3 nothing = middle_of({20, 10, 10}, slab(0, 0, 0, 0));
  CHECK(nothing == Shape3{10, 5, 5});
}

TEST_CASE("pixels are square in millimetres") {
  const SliceView view(Plane::kCoronal, {10, 20, 30}, {2.0, 1.0, 0.5}, "RAS", 3.0);
  CHECK(view.width() == 60);
  CHECK(view.height() == 45);
}

TEST_CASE("label borders are drawn in the label's colour and the inside is left") {
  const Shape3 shape = {8, 8, 8};
  std::vector<std::uint8_t> labels(512, 0);
  for (std::size_t d = 2; d < 6; ++d) {
    for (std::size_t h = 2; h < 6; ++h) {
      for (std::size_t w = 2; w < 6; ++w) {
        labels[(d * 8 + h) * 8 + w] = 3;
      }
    }
  }
  const SliceView view(Plane::kAxial, shape, {1, 1, 1}, "RAS", 4.0);
  Canvas canvas(view.width(), view.height());
  view.outline(canvas, labels);
  CHECK(canvas.at(16, 16) == Rgb{0, 0, 0});
  CHECK(canvas.at(7, 16) != Rgb{0, 0, 0});
  CHECK(canvas.at(2, 2) == Rgb{0, 0, 0});
}

TEST_CASE("text is drawn pixel by pixel and never outside the picture") {
  Canvas canvas(12, 9);
  canvas.text(0, 0, "L", {255, 0, 0});
  CHECK(canvas.at(0, 0) == Rgb{255, 0, 0});
  CHECK(canvas.at(1, 0) == Rgb{0, 0, 0});
  CHECK(canvas.at(4, 6) == Rgb{255, 0, 0});
  canvas.text(-3, 5, "a long text that leaves the picture", {0, 255, 0}, 3);
  CHECK(glyph('\x07') == glyph('?'));
}

TEST_CASE("a line goes from end to end") {
  Canvas canvas(10, 10);
  canvas.line(1, 1, 8, 4, {255, 255, 255});
  CHECK(canvas.at(1, 1) == Rgb{255, 255, 255});
  CHECK(canvas.at(8, 4) == Rgb{255, 255, 255});
  canvas.line(-5, 20, 30, -20, {255, 0, 0});
}

TEST_CASE("both sheets are written as PNG") {
  const test::TemporaryFolder folder;
  const Shape3 shape = {12, 10, 8};
  std::vector<float> image(960);
  for (std::size_t i = 0; i < image.size(); ++i) {
    image[i] = static_cast<float>(i % 97) / 97.0F;
  }
  SubjectSheet sheet(shape, {1, 1, 2}, "RAS");
  for (int i = 0; i < 5; ++i) {
    sheet.add("a subject with a name that is much too long for the tile that it has to stand over, really",
              voxel_of(image), i == 0 ? std::vector<std::uint8_t>(960, 1) : std::vector<std::uint8_t>{});
  }
  CHECK(sheet.write(folder / "s.png", "five") == std::vector<std::filesystem::path>{folder / "s.png"});
  registration_qc(folder / "r.png", image, image, image, std::vector<float>(2880, 0.3F), shape);
  for (const char* name : {"s.png", "r.png"}) {
    const std::string png = test::read_bytes(folder / name);
    CHECK(png.substr(0, 8) == "\x89PNG\r\n\x1a\n");
    CHECK(png_size(png, 16) > 300);
    CHECK(png_size(png, 20) > 150);
    CHECK(png.substr(png.size() - 8, 4) == "IEND");
  }
}

TEST_CASE("the picture of a registration shows folds in red, and none where there are none") {
  const test::TemporaryFolder folder;
  const Shape3 shape = {24, 20, 16};
  const auto voxels = static_cast<std::size_t>(voxel_count(shape));
  const std::vector<float> image(voxels, 0.5F);
  std::vector<float> field(3 * voxels, 0.0F);
  registration_qc(folder / "smooth.png", image, image, image, field, shape, {1, 1, 1}, "RAS", "best");
  for (std::size_t i = 0; i < voxels; ++i) {
    const std::size_t w = i % 16;
    field[2 * voxels + i] = w > 8 ? -4.0F : 0.0F;  // what lies behind voxel 8 comes before it
  }
  registration_qc(folder / "folded.png", image, image, image, field, shape, {1, 1, 1}, "RAS", "worst");
  const auto red_pixels = [&](const char* name) {
    const std::vector<Rgb> pixels = read_png(folder / name);
    return std::count_if(pixels.begin(), pixels.end(),
                         [](const Rgb& p) { return p[0] > 180 && p[1] < 90 && p[2] < 90; });
  };
  CHECK(red_pixels("smooth.png") == 0);
  CHECK(red_pixels("folded.png") > 500);
}

TEST_CASE("a sheet cuts large volumes where the labels are, however few") {
  const test::TemporaryFolder folder;
  const Shape3 shape = {130, 140, 150};
  const auto image = [](std::size_t i) { return i / (140 * 150) == 31 ? 1.0F : 0.0F; };  // one sagittal slice
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(voxel_count(shape)), 0);
  labels[(31 * 140 + 71) * 150 + 77] = 3;
  const auto size_of = [&](std::span<const std::uint8_t> given) {
    SubjectSheet sheet(shape, {1, 1, 1}, "RAS");
    sheet.add("p", image, given);
    return test::read_bytes(sheet.write(folder / "s.png", "one").front()).size();
  };
  CHECK(size_of(labels) != size_of({}));
}

TEST_CASE("a sheet of many subjects has pages of 25, and warnings make room for themselves") {
  const test::TemporaryFolder folder;
  const std::vector<float> image(960, 0.5F);
  SubjectSheet sheet({12, 10, 8}, {1, 1, 2}, "RAS");
  for (int i = 0; i < 51; ++i) {
    sheet.add(str("p", i), voxel_of(image), {},
              i == 30 ? "left/right mirrored?, empty labels, label volume, affine alignment" : "");
  }
  const std::vector<std::filesystem::path> pages = sheet.write(folder / "qc.png", "many");
  REQUIRE(pages ==
          std::vector<std::filesystem::path>{folder / "qc_01.png", folder / "qc_02.png", folder / "qc_03.png"});
  const std::string first = test::read_bytes(pages[0]);
  const std::string second = test::read_bytes(pages[1]);
  const std::string third = test::read_bytes(pages[2]);
  CHECK(png_size(first, 16) == png_size(second, 16));
  CHECK(png_size(second, 16) == png_size(third, 16));
  CHECK(png_size(second, 20) > png_size(first, 20));
  CHECK(png_size(third, 20) < png_size(first, 20) / 3);
  CHECK(color_type(first) == 0);   // grey
  CHECK(color_type(second) == 2);  // with a warning in colour
}

TEST_CASE("a shorter sheet leaves no pages of a longer one behind, nor a longer one the single page") {
  const test::TemporaryFolder folder;
  const std::vector<float> image(960, 0.5F);
  const auto write = [&](int subjects) {
    SubjectSheet sheet({12, 10, 8}, {1, 1, 2}, "RAS");
    for (int i = 0; i < subjects; ++i) {
      sheet.add(str("p", i), voxel_of(image), {});
    }
    sheet.write(folder / "qc.png", "some", 2);
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      names.insert(entry.path().filename().string());
    }
    return names;
  };
  test::write_bytes(folder / "qc_x.png", "another's");
  CHECK(write(51) == std::set<std::string>{"qc_01.png", "qc_02.png", "qc_03.png", "qc_x.png"});
  CHECK(write(26) == std::set<std::string>{"qc_01.png", "qc_02.png", "qc_x.png"});
  CHECK(write(3) == std::set<std::string>{"qc.png", "qc_x.png"});
  CHECK(write(26) == std::set<std::string>{"qc_01.png", "qc_02.png", "qc_x.png"});
}
