// Packing of everything beside one image and its labels: masks, key-points, modalities, affine alignment; taking over
// what was packed before; no scan in two splits.
#include <algorithm>
#include <cmath>
#include <fstream>

#include <nlohmann/json.hpp>

#include "files.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/random.hpp"
#include "regatta/volume/affine_registration.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/pack.hpp"
#include "regatta/volume/volume_file.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::error_text;
using regatta::test::TemporaryFolder;

namespace {

constexpr Shape3 kShape = {20, 16, 12};
constexpr Affine kAffine = {-2, 0, 0, 19, 0, 2, 0, -15, 0, 0, 2, -11, 0, 0, 0, 1};  // first axis runs to the left

float noise(int subject, std::size_t voxel) {
  const CounterRng rng(4, RandomPurpose::kSynthetic);
  return static_cast<float>(rng.uniform(voxel, static_cast<std::uint32_t>(subject)));
}

struct Files {
  Files() {
    for (int i = 0; i < 4; ++i) {
      add(i, i + 1);
    }
    json = parse_json(R"({"schema": 1, "name": "four", "keypoint_space": "voxel", "pairs": {"rule": "all"},
                          "preprocess": {"intensity": {"kind": "minmax"}}, "subjects": []})",
                      "test");
    for (int i = 0; i < 4; ++i) {
      json["subjects"].push_back(row(i));
    }
  }

  /// @param look  what its voxels are drawn from
  void add(int number, int look) const {
    std::vector<float> image;
    std::vector<std::int16_t> labels;
    std::vector<std::uint8_t> mask;
    for (std::size_t i = 0; i < static_cast<std::size_t>(voxel_count(kShape)); ++i) {
      image.push_back(100.0F * noise(look, i));
      labels.push_back(static_cast<std::int16_t>(i % 7 == 0 ? 40 + look : i % 3 == 0 ? 300 : 0));
      mask.push_back(i % 2 == 0 ? 7 : 0);
    }
    write_nifti(folder / str("i", number, ".nii.gz"), std::span<const float>(image), {kShape, kAffine});
    write_nifti(folder / str("l", number, ".nii.gz"), std::span<const std::int16_t>(labels), {kShape, kAffine});
    write_nifti(folder / str("m", number, ".nii.gz"), std::span<const std::uint8_t>(mask), {kShape, kAffine});
    write_file_atomically(folder / str("k", number, ".csv"), str("0,0,0\n", number, ",2.5,3\n19,15,11\n"));
  }

  static Json row(int i) {
    return {{"id", str("s", i)},
            {"image", str("i", i, ".nii.gz")},
            {"labels", str("l", i, ".nii.gz")},
            {"mask", str("m", i, ".nii.gz")},
            {"keypoints", str("k", i, ".csv")},
            {"split", i < 3 ? "train" : "test"}};
  }

  PackSummary pack(const std::string& name = "a.h5", bool update = false, bool replace = false) const {
    PackOptions options;
    options.output = folder / name;
    options.threads = 2;
    options.update = update;
    options.replace = replace;
    return pack_dataset(dataset_from_json(json, folder.path()), options);
  }

  TemporaryFolder folder;
  Json json;
};

/// Every table and voxel of both is the same, whatever way they were made.
/// The image's, then the mask's and the labels' where there are any.
std::vector<std::uint8_t> voxels_of(const Archive& archive, std::int64_t subject) {
  const auto count = static_cast<std::size_t>(voxel_count(archive.shape()));
  std::vector<std::uint8_t> all(3 * count);
  const std::span<std::uint8_t> out(all);
  archive.read_image(subject, std::as_writable_bytes(out.first(count)));
  const ArchiveSubject& row = archive.subjects()[static_cast<std::size_t>(subject)];
  if (row.has_mask) {
    archive.read_mask(subject, out.subspan(count, count));
  }
  if (row.has_labels) {
    archive.read_labels(subject, out.last(count));
  }
  return all;
}

void check_same(const std::filesystem::path& one, const std::filesystem::path& other) {
  const Archive a = Archive::open(one);
  const Archive b = Archive::open(other);
  CHECK(a.fingerprint() == b.fingerprint());
  CHECK(a.label_ids() == b.label_ids());
  REQUIRE(a.subjects().size() == b.subjects().size());
  for (std::size_t i = 0; i < a.subjects().size(); ++i) {
    CHECK(a.subjects()[i].source_key == b.subjects()[i].source_key);
    CHECK(a.subjects()[i].keypoints == b.subjects()[i].keypoints);
    CHECK(a.subjects()[i].intensity == b.subjects()[i].intensity);
    CHECK(voxels_of(a, static_cast<std::int64_t>(i)) == voxels_of(b, static_cast<std::int64_t>(i)));
  }
}

}  // namespace

TEST_CASE("masks and key-points are turned with their image") {
  const Files files;
  const PackSummary summary = files.pack();
  CHECK(summary.masked == 4);
  CHECK(summary.with_keypoints == 4);
  CHECK(summary.warnings == std::vector<std::string>{"split test: subjects 1, and no pair: see /pairs"});
  const Archive archive = Archive::open(files.folder / "a.h5");
  CHECK(archive.has_masks());
  CHECK(archive.has_keypoints());
  CHECK(archive.modalities() == std::vector<std::string>{"image"});
  CHECK(archive.label_ids() == std::vector<std::int64_t>{0, 41, 42, 43, 44, 300});
  const ArchiveSubject& subject = archive.subjects()[2];
  CHECK(subject.has_mask);
  REQUIRE(subject.keypoints.size() == 3);
  CHECK(subject.keypoints[0] == Point3{19.0, 0.0, 0.0});
  CHECK(subject.keypoints[1] == Point3{17.0, 2.5, 3.0});
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(voxel_count(kShape)));
  archive.read_mask(2, mask);
  for (std::size_t d = 0; d < 20; ++d) {
    for (std::size_t rest = 0; rest < 192; ++rest) {
      REQUIRE(mask[d * 192 + rest] == ((19 - d) * 192 + rest + 1) % 2);
    }
  }
}

TEST_CASE("key-points in millimetres, and pairs whose lists do not correspond") {
  Files files;
  files.json["keypoint_space"] = GENERATE("ras", "lps");
  const bool lps = files.json["keypoint_space"] == "lps";
  for (int i = 0; i < 4; ++i) {
    write_file_atomically(files.folder / str("k", i, ".csv"), lps ? "-19,15,-11\n" : "19,-15,-11\n");
  }
  files.pack();
  CHECK(Archive::open(files.folder / "a.h5").subjects()[0].keypoints.at(0) == Point3{19.0, 0.0, 0.0});
  write_file_atomically(files.folder / "k1.csv", "1,1,1\n2,2,2\n");
  const std::string text = error_text([&] { files.pack("b.h5"); });
  INFO(text);
  CHECK(text.find("k0.csv: 1 key-points, and 2 in ") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(files.folder / "b.h5"));
}

TEST_CASE("key-points of pairs are packed in each scan's grid, and a pack that is updated takes them as they are now") {
  Files files;
  for (Json& subject : files.json["subjects"]) {
    subject.erase("keypoints");
  }
  write_file_atomically(files.folder / "a.csv", "0,0,0\n3,4,5\n");
  write_file_atomically(files.folder / "b.csv", "19,15,11\n1,1,1\n");
  const auto pair = [](const char* moving, const char* fixed) {
    return Json({{"split", "train"}, {"moving", moving}, {"fixed", fixed}});
  };
  Json with = pair("s0", "s1");
  with["moving_keypoints"] = "a.csv";
  with["fixed_keypoints"] = "b.csv";
  files.json["pairs"] = {{"rule", "explicit"}, {"explicit", {with, pair("s1", "s0"), pair("s0", "s2")}}};
  const PackSummary summary = files.pack();
  CHECK(summary.with_keypoints == 0);
  CHECK(summary.pairs_with_keypoints == 2);
  const auto lists_of = [](const Archive& archive, std::size_t number) {
    return keypoints_of(archive.subjects(), archive.pairs("train").at(number));
  };
  const Archive archive = Archive::open(files.folder / "a.h5");
  const std::vector<ArchivePair> pairs = archive.pairs("train");
  REQUIRE(pairs[0].keypoints);
  CHECK(pairs[0].keypoints->moving == std::vector<Point3>{{19, 0, 0}, {16, 4, 5}});
  CHECK(pairs[0].keypoints->fixed == std::vector<Point3>{{0, 15, 11}, {18, 1, 1}});
  REQUIRE(pairs[1].keypoints);
  CHECK(pairs[1].keypoints->moving == pairs[0].keypoints->fixed);
  CHECK(lists_of(archive, 2).fixed.empty());

  write_file_atomically(files.folder / "b.csv", "18,15,11\n1,1,40\n");
  const PackSummary again = files.pack("a.h5", true);
  CHECK(again.reused == 4);
  CHECK(std::count(again.warnings.begin(), again.warnings.end(),
                   "pair of moving 's0' and fixed 's1', fixed: 1 of 2 key-points lie outside the packed grid") == 1);
  const Archive updated = Archive::open(files.folder / "a.h5");
  CHECK(updated.pairs("train")[0].keypoints->fixed[0] == Point3{1, 15, 11});
  CHECK(updated.fingerprint() != archive.fingerprint());

  write_file_atomically(files.folder / "b.csv", "18,15,11\n");
  const std::string text = error_text([&] { files.pack("b.h5"); });
  INFO(text);
  CHECK(text.find("a.csv: 2 key-points, and 1 in ") != std::string::npos);
}

TEST_CASE("labels and masks that are whole but for rounding are packed, and the pack says how many") {
  Files files;
  std::vector<float> labels(static_cast<std::size_t>(voxel_count(kShape)), 0.0F);
  labels[100] = 2.99985F;
  labels[200] = 47.00005F;
  write_nifti(files.folder / "l0.nii.gz", std::span<const float>(labels), {kShape, kAffine});
  std::vector<float> mask(labels.size(), 0.9999F);
  write_nifti(files.folder / "m1.nii.gz", std::span<const float>(mask), {kShape, kAffine});
  const PackSummary summary = files.pack();
  CHECK(summary.warnings.back() == str("label maps and masks: ", labels.size() + 2,
                                       " values of 2 files were whole numbers only up to rounding, and were rounded"));
  const Archive archive = Archive::open(files.folder / "a.h5");
  CHECK(archive.label_ids() == std::vector<std::int64_t>{0, 3, 42, 43, 44, 47, 300});
  std::vector<std::uint8_t> packed(labels.size());
  archive.read_mask(1, packed);
  CHECK(std::count(packed.begin(), packed.end(), 1) == std::ssize(packed));
}

TEST_CASE("several modalities, each with its own intensities, on the first one's grid") {
  Files files;
  files.json["modalities"] = {"t1", "ct"};
  files.json["preprocess"]["modalities"] = {{"ct", {{"kind", "window"}, {"low", 20}, {"high", 60}}}};
  files.json["subjects"] = Json::array();
  for (int i = 0; i < 2; ++i) {
    files.json["subjects"].push_back(
        {{"id", str("s", i)}, {"images", {{"t1", str("i", i, ".nii.gz")}, {"ct", str("i", i + 2, ".nii.gz")}}}});
  }
  files.pack();
  const Archive archive = Archive::open(files.folder / "a.h5");
  CHECK(archive.modalities() == std::vector<std::string>{"t1", "ct"});
  CHECK(archive.subjects()[1].intensity.at(1) == IntensityRange{20.0, 60.0});
  std::vector<std::uint8_t> image(static_cast<std::size_t>(voxel_count(kShape)));
  archive.read_image(1, std::as_writable_bytes(std::span(image)), 1);
  for (std::size_t d = 0; d < 20; ++d) {
    const double value = 100.0 * double{noise(4, (19 - d) * 192 + 5)};
    CHECK(static_cast<double>(image[d * 192 + 5]) ==
          Approx(255.0 * std::clamp((value - 20.0) / 40.0, 0.0, 1.0)).margin(0.51));
  }
}

TEST_CASE("frames of one 4-D file are subjects of one group; labels may be 3-D or a series") {
  Files files;
  test::NiftiMaker maker;
  maker.datatype = 4;
  maker.shape = {5, 4, 3};
  maker.values.clear();
  for (int i = 0; i < 5 * 4 * 3; ++i) {
    maker.values.push_back(i);
  }
  std::string series = maker.bytes();
  test::poke(series, 40, std::int16_t{4});
  test::poke(series, 48, std::int16_t{3});
  const std::string frame = series.substr(352);
  for (int t = 1; t < 3; ++t) {
    std::string later = frame;
    for (std::size_t i = 0; i < later.size(); i += 2) {
      test::poke(later, i, static_cast<std::int16_t>(test::peek<std::int16_t>(frame, i) * (t + 1) % 57));
    }
    series += later;
  }
  test::write_bytes(files.folder / "series.nii.gz", test::gzip(series));
  files.json["subjects"] = Json::array();
  for (int t = 0; t < 3; ++t) {
    files.json["subjects"].push_back({{"id", str("f", t)},
                                      {"image", "series.nii.gz"},
                                      {"frame", t},
                                      {"group", "heart"},
                                      {"labels", "series.nii.gz"}});
  }
  files.pack();
  const Archive archive = Archive::open(files.folder / "a.h5");
  CHECK(archive.subjects()[2].frame == 2);
  CHECK(archive.subjects()[2].group == "heart");
  CHECK(archive.subjects()[0].source_key != archive.subjects()[1].source_key);
  std::vector<std::uint8_t> labels(60);
  archive.read_labels(2, labels);
  for (std::size_t d = 0; d < 5; ++d) {
    for (std::size_t h = 0; h < 4; ++h) {
      for (std::size_t w = 0; w < 3; ++w) {
        const auto first = static_cast<std::int64_t>((w * 4 + h) * 5 + d);
        REQUIRE(archive.label_ids()[labels[(d * 4 + h) * 3 + w]] == first * 3 % 57);
      }
    }
  }
  files.json["subjects"][0]["frame"] = 3;
  CHECK(error_text([&] { files.pack("b.h5"); }).find("frame 3, the file has 3: 0..2 allowed") != std::string::npos);
}

TEST_CASE("an update takes over what is the same, and gives what packing all again gives") {
  Files files;
  files.pack();
  files.add(1, 9);  // another scan under the same name
  files.add(4, 6);
  files.json["subjects"].push_back(Files::row(4));
  files.json["subjects"].erase(2);
  CHECK(files.pack("fresh.h5").reused == 0);
  const PackSummary summary = files.pack("a.h5", true);
  CHECK(summary.subjects == 4);
  CHECK(summary.reused == 2);
  check_same(files.folder / "a.h5", files.folder / "fresh.h5");
  CHECK_FALSE(std::filesystem::exists(files.folder / "a.h5.part"));
  files.json["preprocess"]["intensity"]["kind"] = "percentile";
  CHECK(files.pack("a.h5", true).reused == 0);
}

TEST_CASE("a pack that ended early continues with what it has, also behind a torn record") {
  Files files;
  if (GENERATE(false, true)) {  // without labels each is written as soon as it is packed
    for (Json& subject : files.json["subjects"]) {
      subject.erase("labels");
    }
  }
  const std::string good = read_file(files.folder / "i3.nii.gz");
  // Headers and labels pass the check, the image's voxels do not: three of four are packed.
  test::write_bytes(files.folder / "i3.nii.gz", good.substr(0, good.size() / 2));
  CHECK(error_text([&] { files.pack(); }).find("subject 's3': ") == 0);
  CHECK_FALSE(std::filesystem::exists(files.folder / "a.h5"));
  const std::filesystem::path part = files.folder / "a.h5.part";
  REQUIRE(std::filesystem::exists(part));
  const bool torn = GENERATE(false, true);
  if (torn) {
    std::filesystem::resize_file(part, std::filesystem::file_size(part) - 100);
  }
  test::write_bytes(files.folder / "i3.nii.gz", good);
  CHECK(files.pack().reused == (torn ? 2 : 3));
  CHECK_FALSE(std::filesystem::exists(part));
  CHECK(files.pack("fresh.h5").reused == 0);
  check_same(files.folder / "a.h5", files.folder / "fresh.h5");
}

TEST_CASE("the same scan in two splits is an error, twice in one split a warning") {
  Files files;
  files.add(3, 1);  // s3 (test) gets the voxels of s0 (train)
  const std::string text = error_text([&] { files.pack(); });
  CHECK(text.find("subjects 's0' (train, ") == 0);
  CHECK(text.find("have the same image") != std::string::npos);
  files.json["subjects"][3]["split"] = "train";
  const PackSummary summary = files.pack();
  REQUIRE(summary.warnings.size() == 1);
  CHECK(summary.warnings[0].find("'s0' (train") != std::string::npos);
}

TEST_CASE("the same scan in two splits is found behind another compression") {
  Files files;
  files.add(3, 1);
  const Volume scan = read_volume(files.folder / "i3.nii.gz");
  write_nifti(files.folder / "plain.nii", std::span<const float>(scan.voxels), scan.grid);
  files.json["subjects"][3]["image"] = "plain.nii";
  CHECK(error_text([&] { files.pack(); }).find("have the same voxels, packed") != std::string::npos);
}

TEST_CASE("of a pair the voxels count, not the header that all scans share") {
  Files files;
  test::NiftiMaker maker;
  maker.pair = true;
  const auto write = [&](const std::string& name, double step) {
    maker.values.clear();
    for (std::size_t i = 0; i < static_cast<std::size_t>(voxel_count(maker.shape)); ++i) {
      maker.values.push_back(static_cast<double>(i) * step + static_cast<double>(i * i % 7));
    }
    test::write_bytes(files.folder / (name + ".hdr"), maker.header());
    test::write_bytes(files.folder / (name + ".img"), maker.voxels());
  };
  write("p0", 1.0);
  write("p1", -1.0);
  write("p2", 0.5);
  Json subjects = Json::array();
  subjects.push_back({{"id", "p0"}, {"image", "p0.hdr"}});
  subjects.push_back({{"id", "p1"}, {"image", "p1.hdr"}, {"split", "test"}});
  subjects.push_back({{"id", "p2"}, {"image", "p2.hdr"}});
  files.json["subjects"] = subjects;
  CHECK(files.pack().warnings == std::vector<std::string>{"split test: subjects 1, and no pair: see /pairs"});
  write("p1", -2.0);
  CHECK(files.pack("a.h5", true).reused == 2);
}

TEST_CASE("what is damaged in the archive before is packed from its files") {
  Files files;
  files.pack();
  std::string bytes = test::read_bytes(files.folder / "a.h5");
  const bool labels = GENERATE(false, true);
  const std::vector<std::uint8_t> voxels = voxels_of(Archive::open(files.folder / "a.h5"), 2);
  const std::size_t begin = labels ? voxels.size() / 3 * 2 : 0;
  const std::size_t at = bytes.find(std::string(voxels.begin() + static_cast<std::ptrdiff_t>(begin),
                                                voxels.begin() + static_cast<std::ptrdiff_t>(begin + 200)));
  REQUIRE(at != std::string::npos);
  bytes[at + 60] = static_cast<char>(bytes[at + 60] ^ 1);
  test::write_bytes(files.folder / "a.h5", bytes);
  files.pack("a.h5", true);
  files.pack("fresh.h5");
  check_same(files.folder / "a.h5", files.folder / "fresh.h5");
}

TEST_CASE("subjects are brought to the atlas's grid by an affine registration") {
  const TemporaryFolder folder;
  const Shape3 shape = {40, 44, 36};
  const auto blobs = [](const Point3& mm) {
    const auto blob = [&](double x, double y, double z, double width) {
      const double squared = std::pow(mm[0] - x, 2) + std::pow(mm[1] - y, 2) + std::pow(mm[2] - z, 2);
      return std::exp(-squared / (2 * width * width));
    };
    return 100.0 *
           (blob(0, 0, 0, 16) + 0.8 * blob(14, 18, -6, 6) - 0.7 * blob(-16, -8, 10, 7) + 0.6 * blob(4, -20, -14, 5));
  };
  const Affine grid = {2, 0, 0, -39, 0, 2, 0, -43, 0, 0, 2, -35, 0, 0, 0, 1};
  const Affine moved = {0.99, 0.17, 0, 6, -0.17, 1.04, 0.05, -4, 0, -0.05, 0.95, 5, 0, 0, 0, 1};  // atlas to subject
  const Affine back = invert(moved);
  const auto write = [&](const std::string& name, const Affine& to_atlas) {
    std::vector<float> image;
    std::vector<std::uint8_t> labels;
    for (std::int64_t d = 0; d < shape[0]; ++d) {
      for (std::int64_t h = 0; h < shape[1]; ++h) {
        for (std::int64_t w = 0; w < shape[2]; ++w) {
          const Point3 mm = map_point(grid, {static_cast<double>(d), static_cast<double>(h), static_cast<double>(w)});
          const double value = blobs(map_point(to_atlas, mm));
          image.push_back(static_cast<float>(value));
          labels.push_back(value > 60 ? 1 : 0);
        }
      }
    }
    write_nifti(folder / (name + ".nii.gz"), std::span<const float>(image), {shape, grid});
    write_nifti(folder / (name + "_l.nii.gz"), std::span<const std::uint8_t>(labels), {shape, grid});
  };
  write("atlas", identity_affine());
  write("s0", back);
  const Point3 mark = map_point(moved, {14, 18, -6});
  write_file_atomically(folder / "k0.csv", str(mark[0], ",", mark[1], ",", mark[2], "\n"));
  Json json = parse_json(R"({"schema": 1, "affine": "to_atlas", "keypoint_space": "ras",
    "pairs": {"rule": "atlas", "atlas": "atlas"},
    "subjects": [{"id": "s0", "image": "s0.nii.gz", "labels": "s0_l.nii.gz", "keypoints": "k0.csv"},
                 {"id": "atlas", "image": "atlas.nii.gz", "labels": "atlas_l.nii.gz", "split": "atlas"},
                 {"id": "copy", "image": "copy.nii.gz", "labels": "atlas_l.nii.gz"}]})",
                         "test");
  std::filesystem::copy_file(folder / "atlas.nii.gz", folder / "copy.nii.gz");
  PackOptions options;
  options.output = folder / "a.h5";
  const PackSummary summary = pack_dataset(dataset_from_json(json, folder.path()), options);
  CHECK(summary.warnings.empty());
  const Archive archive = Archive::open(folder / "a.h5");
  const ArchiveSubject& subject = archive.subjects()[0];
  const ArchiveSubject& atlas = archive.subjects()[1];
  CHECK(subject.affine_ncc > 0.9);
  CHECK(archive.subjects()[2].affine_ncc > 0.999);  // a copy of the atlas is aligned to it like any other
  CHECK(std::isnan(atlas.affine_ncc));
  CHECK(mean_distance(subject.atlas_to_subject, moved, {shape, grid}) < 2.0);  // a voxel
  CHECK(archive.spacing() == Spacing3{2.0, 2.0, 2.0});
  const Point3 found = map_point(atlas.affine, subject.keypoints.at(0));
  CHECK(std::hypot(found[0] - 14, found[1] - 18, found[2] + 6) < 1.0);
  std::vector<std::uint8_t> ours(static_cast<std::size_t>(voxel_count(shape)));
  std::vector<std::uint8_t> theirs(ours.size());
  archive.read_labels(0, ours);
  archive.read_labels(1, theirs);
  double both = 0;
  double each = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    both += ours[i] != 0 && theirs[i] != 0 ? 2 : 0;
    each += (ours[i] != 0 ? 1 : 0) + (theirs[i] != 0 ? 1 : 0);
  }
  CHECK(both / each > 0.94);
  json["affine_atlas"] = "nobody";
  CHECK(error_text([&] { pack_dataset(dataset_from_json(json, folder.path()), options); }).find("nobody") !=
        std::string::npos);
}
