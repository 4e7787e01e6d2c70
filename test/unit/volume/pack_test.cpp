// Packing from files to archive: the round trip, and that each broken input ends in one line and without an archive.
#include "regatta/volume/pack.hpp"

#include <algorithm>
#include <limits>

#include <nlohmann/json.hpp>

#include "files.hpp"
#include "regatta/base/error.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::NiftiMaker;
using regatta::test::TemporaryFolder;
using regatta::test::write_bytes;

namespace {

constexpr Shape3 kShape = {6, 5, 4};

NiftiMaker image_maker(int subject) {
  NiftiMaker maker;
  maker.datatype = 4;
  maker.shape = kShape;
  maker.affine = {-1, 0, 0, 9, 0, 1, 0, -3, 0, 0, 1.5, 2, 0, 0, 0, 1};
  for (int i = 0; i < 120; ++i) {
    maker.values.push_back((i * (subject + 7)) % 101);
  }
  return maker;
}

NiftiMaker label_maker(int subject) {
  NiftiMaker maker = image_maker(subject);
  maker.values.clear();
  for (int i = 0; i < 120; ++i) {
    maker.values.push_back(i % 5 == 0 ? 2035 : i % 3 == 0 ? 10 + subject : 0);
  }
  return maker;
}

/// Three subjects s0 (labels), s1 (labels), s2 (none, val) and their data set.
struct Files {
  Files() {
    for (int i = 0; i < 3; ++i) {
      write_bytes(folder / str("s", i, ".nii"), image_maker(i).bytes());
      write_bytes(folder / str("l", i, ".nii.gz"), test::gzip(label_maker(i).bytes()));
    }
    json = parse_json(R"({"schema": 1, "name": "three", "subjects": [
      {"id": "s0", "image": "s0.nii", "labels": "l0.nii.gz"}, {"id": "s1", "image": "s1.nii", "labels": "l1.nii.gz"},
      {"id": "s2", "image": "s2.nii", "split": "val"}],
      "pairs": {"rule": "atlas", "atlas": "s0"},
      "preprocess": {"intensity": {"kind": "minmax"}}})",
                      "test");
  }

  PackSummary pack(int threads = 2) const {
    PackOptions options;
    options.output = folder / "out" / "a.h5";
    options.threads = threads;
    options.replace = true;
    std::filesystem::create_directories(folder / "out");
    return pack_dataset(dataset_from_json(json, folder.path()), options);
  }

  /// The message of a refused data set; checks the exit code and that nothing was left.
  std::string refusal() const {
    std::string text;
    try {
      pack();
    } catch (const Error& error) {
      text = error.what();
      CHECK(error.code() == ExitCode::kData);
    }
    CHECK(text.find('\n') == std::string::npos);
    CHECK_FALSE(std::filesystem::exists(folder / "out" / "a.h5"));
    return text;
  }

  TemporaryFolder folder;
  Json json;
};

void check_contains(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("packing turns the axes, scales to bytes and maps labels, one or several at a time") {
  const Files files;
  const PackSummary summary = files.pack(GENERATE(1, 3));
  CHECK(summary.subjects == 3);
  CHECK(summary.labelled == 2);
  CHECK(summary.labels == 3);
  CHECK(summary.split_pairs.at("train") == 1);
  CHECK(summary.split_pairs.at("val") == 1);
  REQUIRE(summary.qc.size() == 1);
  CHECK(std::filesystem::exists(summary.qc.front()));
  const Archive archive = Archive::open(files.folder / "out" / "a.h5");
  CHECK(archive.fingerprint() == summary.fingerprint);
  CHECK(archive.label_ids() == std::vector<std::int64_t>{0, 10, 11, 2035});
  CHECK(archive.spacing() == Spacing3{1.0, 1.0, 1.5});
  CHECK(archive.preprocessing().at("shape") == Json({6, 5, 4}));
  CHECK(archive.preprocessing().at("spacing_mm") == Json({1.0, 1.0, 1.5}));
  std::vector<std::uint8_t> image(120);
  std::vector<std::uint8_t> labels(120);
  archive.read_image(1, std::as_writable_bytes(std::span(image)));
  archive.read_labels(1, labels);
  const auto values = image_maker(1).values;
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  const auto ids = label_maker(1).values;
  for (std::size_t d = 0; d < 6; ++d) {
    for (std::size_t h = 0; h < 5; ++h) {
      for (std::size_t w = 0; w < 4; ++w) {
        const std::size_t file = (w * 5 + h) * 6 + (5 - d);  // the file's first axis runs to the left
        const std::size_t packed = (d * 5 + h) * 4 + w;
        CHECK(static_cast<double>(image[packed]) ==
              Approx(255.0 * (values[file] - *least) / (*most - *least)).margin(0.5001));
        CHECK(static_cast<double>(archive.label_ids()[labels[packed]]) == ids[file]);
      }
    }
  }
}

TEST_CASE("broken inputs end in one line with exit code 3, and no archive is left") {
  Files files;
  const auto break_image = [&](const std::string& bytes) { write_bytes(files.folder / "s2.nii", bytes); };
  NiftiMaker maker = image_maker(2);
  SECTION("truncated") {
    break_image(maker.bytes().substr(0, 400));
    check_contains(files.refusal(), "s2.nii: truncated");
  }
  SECTION("wrong size") {
    break_image(maker.bytes() + std::string((1 << 20) + 1, 'x'));
    check_contains(files.refusal(), "s2.nii: wrong size");
  }
  SECTION("not a number") {
    maker.datatype = 16;
    maker.values[7] = std::numeric_limits<double>::quiet_NaN();
    break_image(maker.bytes());
    check_contains(files.refusal(), "subject 's2': ");
    check_contains(files.refusal(), "voxel [1,1,0]: nan");
  }
  SECTION("constant") {
    maker.values.assign(120, 7.0);
    break_image(maker.bytes());
    check_contains(files.refusal(), "s2.nii: constant: every voxel is 7");
  }
  SECTION("missing") {
    std::filesystem::remove(files.folder / "s2.nii");
    check_contains(files.refusal(), "s2.nii: cannot open: No such file");
  }
  SECTION("singular affine") {
    maker.affine[0] = 0.0;
    break_image(maker.bytes());
    check_contains(files.refusal(), "singular or not finite");
  }
  SECTION("dimensions that overflow") {
    std::string bytes = maker.bytes();
    for (const std::size_t offset : {42U, 44U, 46U}) {
      test::poke(bytes, offset, std::int16_t{32000});
    }
    break_image(bytes);
    check_contains(files.refusal(), "dimensions overflow");
  }
  SECTION("labels of another shape") {
    NiftiMaker labels = label_maker(1);
    labels.shape = {6, 4, 5};
    write_bytes(files.folder / "l1.nii.gz", test::gzip(labels.bytes()));
    check_contains(files.refusal(), ": shape 6x4x5, its image has 6x5x4");
  }
  SECTION("labels elsewhere in space") {
    NiftiMaker labels = label_maker(1);
    labels.affine[3] += 2.0;
    write_bytes(files.folder / "l1.nii.gz", test::gzip(labels.bytes()));
    check_contains(files.refusal(), "lies elsewhere in space than its image");
  }
  SECTION("labels that are no integers") {
    NiftiMaker labels = label_maker(1);
    labels.datatype = 16;
    labels.values[3] = 1.5;
    write_bytes(files.folder / "l1.nii.gz", test::gzip(labels.bytes()));
    check_contains(files.refusal(), "value 1.5");
  }
  SECTION("more label values than a byte holds") {
    NiftiMaker labels = label_maker(1);
    labels.shape = kShape;
    for (std::size_t i = 0; i < 120; ++i) {
      labels.values[i] = static_cast<double>(1000 + i);
    }
    write_bytes(files.folder / "l1.nii.gz", test::gzip(labels.bytes()));
    labels = label_maker(0);
    labels.shape = {6, 5, 8};
    labels.values.resize(240);
    for (std::size_t i = 0; i < 240; ++i) {
      labels.values[i] = static_cast<double>(i);
    }
    write_bytes(files.folder / "l0.nii.gz", test::gzip(labels.bytes()));
    NiftiMaker image = image_maker(0);
    image.shape = {6, 5, 8};
    image.values.resize(240);
    write_bytes(files.folder / "s0.nii", image.bytes());
    check_contains(files.refusal(), "labels: 359 values without the background, at most 255 allowed");
  }
  SECTION("another shape than the first where none is given") {
    maker.shape = {6, 5, 8};
    maker.values.resize(240, 3.0);
    files.json["preprocess"]["spacing_mm"] = {1.0, 1.0, 1.0};
    break_image(maker.bytes());
    // The first subject's shape holds for all: the larger one is cropped, not refused.
    CHECK(files.pack().shape == Shape3{6, 5, 6});
  }
  SECTION("another spacing than the first where none is given") {
    maker.affine[10] = 3.0;
    break_image(maker.bytes());
    check_contains(files.refusal(), "spacing 1x1x3 mm, 's0' has 1x1x1.5: give /preprocess/spacing_mm");
  }
}

TEST_CASE("an archive that is there is kept unless it may be replaced") {
  const Files files;
  files.pack();
  PackOptions options;
  options.output = files.folder / "out" / "a.h5";
  const std::string text =
      test::error_text([&] { pack_dataset(dataset_from_json(files.json, files.folder.path()), options); });
  check_contains(text, "a.h5: already exists; --update packs again");
  options.output = files.folder / "none" / "a.h5";
  check_contains(test::error_text([&] { pack_dataset(dataset_from_json(files.json, files.folder.path()), options); }),
                 "there is no folder");
}
