// Inspection: what is planted into a set of made-up scans is named, and nothing else.
#include "regatta/volume/inspection.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "files.hpp"
#include "made_up_set.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/random.hpp"
#include "regatta/base/text.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "volume/inspect/label_places.hpp"

using namespace regatta;
using regatta::test::made_up_scan;
using regatta::test::MadeUpScan;
using regatta::test::TemporaryFolder;

namespace {

std::vector<MadeUpScan> made_up_set(std::uint64_t count, std::uint64_t first = 0) {
  std::vector<MadeUpScan> scans;
  for (std::uint64_t i = 0; i < count; ++i) {
    scans.push_back(made_up_scan(first + i));
  }
  return scans;
}

Inspection inspect(const std::vector<MadeUpScan>& scans, int threads = 2) {
  const TemporaryFolder folder;
  test::write_set(folder / "a.h5", scans);
  return inspect_archive(Archive::open(folder / "a.h5"), threads);
}

/// "s3 mirrored", "s5 empty_labels": everything that was found.
std::set<std::string> found(const Inspection& inspection) {
  std::set<std::string> out;
  for (const SubjectInspection& s : inspection.subjects) {
    UNSCOPED_INFO(s.id << ": fit " << s.fit_as_is << ", mirrored " << s.fit_mirrored << ", other axes "
                       << s.fit_other_axes << " (" << s.other_axes << "), asymmetry " << s.asymmetry);
    for (const Finding& finding : s.findings) {
      UNSCOPED_INFO(s.id << ": " << finding.text);
      out.insert(str(s.id, ' ', finding.rule));
    }
  }
  return out;
}

using Names = std::set<std::string>;

constexpr AxisMap kMirrored = {{0, 1, 2}, {true, false, false}};
constexpr AxisMap kUpsideDown = {{0, 1, 2}, {false, false, true}};
constexpr AxisMap kExchanged = {{1, 0, 2}, {false, false, false}};

void without_labels(std::vector<MadeUpScan>& scans) {
  for (MadeUpScan& scan : scans) {
    scan.labels.clear();
  }
}

}  // namespace

TEST_CASE("nothing is found wrong with scans of many poses, sizes and contrasts") {
  for (const std::uint64_t first : {0U, 100U}) {
    std::vector<MadeUpScan> scans = made_up_set(12, first);
    CHECK(found(inspect(scans)) == Names{});
    without_labels(scans);
    CHECK(found(inspect(scans)) == Names{});
  }
}

TEST_CASE("a mirrored scan, a duplicate and an empty label map are named, and nothing else") {
  std::vector<MadeUpScan> scans = made_up_set(9);
  test::turn_scan(scans[3], kMirrored);
  scans[7].image = scans[2].image;
  std::fill(scans[5].labels.begin(), scans[5].labels.end(), std::uint8_t{0});
  const Inspection inspection = inspect(scans);
  CHECK(inspection.sides_told);
  REQUIRE(found(inspection) == Names{"s3 mirrored", "s5 empty_labels", "s7 duplicate"});
  CHECK(inspection.subjects[7].findings[0].text == "duplicate: the same packed voxels as 's2' (train)");
  CHECK(inspection.subjects[3].findings[0].text.find("image: asymmetry correlates -0.") != std::string::npos);
  CHECK(inspection.subjects[3].findings[0].text.find("labels on exchanged sides") != std::string::npos);
}

TEST_CASE("a mirrored scan is found from its image alone") {
  std::vector<MadeUpScan> scans = made_up_set(10, 20);
  without_labels(scans);
  test::turn_scan(scans[0], kMirrored);
  test::turn_scan(scans[6], kMirrored);
  CHECK(found(inspect(scans)) == Names{"s20 mirrored", "s26 mirrored"});
}

TEST_CASE("labels that are mirrored against their image are told from a mirrored scan") {
  std::vector<MadeUpScan> scans = made_up_set(9, 40);
  scans[4].labels = test::turned(scans[4].labels, test::kSetShape, kMirrored);
  const Inspection inspection = inspect(scans);
  REQUIRE(found(inspection) == Names{"s44 mirrored"});
  CHECK(inspection.subjects[4].findings[0].text.find("labels mirrored against their image") == 0);
}

TEST_CASE("scans with other axes are named with the orientation that they seem to have") {
  std::vector<MadeUpScan> scans = made_up_set(9, 60);
  const bool labelled = GENERATE(true, false);
  if (!labelled) {
    without_labels(scans);
  }
  test::turn_scan(scans[1], kUpsideDown);
  test::turn_scan(scans[8], kExchanged);
  const Inspection inspection = inspect(scans);
  const auto names = found(inspection);
  CAPTURE(names);
  REQUIRE(names.count("s61 wrong_axes") == 1);
  REQUIRE(names.count("s68 wrong_axes") == 1);
  const auto others = std::count_if(names.begin(), names.end(), [](const std::string& name) {
    return name.rfind("s61 ", 0) != 0 && name.rfind("s68 ", 0) != 0;
  });
  CHECK(others == 0);
  CHECK(inspection.subjects[1].findings[0].text.find("looks like RAI where RAS is expected") != std::string::npos);
  CHECK(inspection.subjects[8].findings[0].text.find("looks like ARS where RAS is expected") != std::string::npos);
}

TEST_CASE("a perfectly symmetric set says that sides cannot be told") {
  std::vector<MadeUpScan> scans = made_up_set(8, 80);
  without_labels(scans);
  for (MadeUpScan& scan : scans) {
    const auto mirrored = test::turned(scan.image, test::kSetShape, kMirrored);
    std::transform(scan.image.begin(), scan.image.end(), mirrored.begin(), scan.image.begin(),
                   [](std::uint8_t a, std::uint8_t b) { return static_cast<std::uint8_t>((a + b) / 2); });
  }
  const Inspection inspection = inspect(scans);
  CHECK_FALSE(inspection.sides_told);
  REQUIRE(found(inspection) == Names{});
}

TEST_CASE("labels that others have, label volumes, and labels of somebody else are named") {
  std::vector<MadeUpScan> scans = made_up_set(10, 120);
  std::replace(scans[2].labels.begin(), scans[2].labels.end(), std::uint8_t{4}, std::uint8_t{1});
  int seen = 0;
  for (std::uint8_t& label : scans[4].labels) {  // little of one label stays, the rest becomes the body
    label = label == 5 && ++seen % 16 != 0 ? 1 : label;
  }
  scans[6].labels = scans[1].labels;
  scans[8].labels.clear();
  const Inspection inspection = inspect(scans);
  REQUIRE(found(inspection) == Names{"s122 missing_labels", "s124 label_volume", "s126 same_labels", "s128 no_labels"});
  CHECK(inspection.subjects[2].findings[0].text == "label 40 missing, which the others have");
  CHECK(inspection.subjects[4].findings[0].text.find("label 50: ") != std::string::npos);
  CHECK(inspection.label_subjects == std::vector<std::int64_t>{0, 9, 9, 9, 8, 9});
}

TEST_CASE("odd intensities, other units and nearly empty images are named") {
  std::vector<MadeUpScan> scans = made_up_set(9, 140);
  without_labels(scans);
  for (std::uint8_t& value : scans[1].image) {
    value = static_cast<std::uint8_t>(value / 2);
  }
  scans[3].row.intensity[0].high *= 1000.0;
  for (std::size_t i = 0; i < scans[5].image.size(); ++i) {
    scans[5].image[i] = i < 100 ? scans[5].image[30000 + i] : std::uint8_t{0};
  }
  scans[5].image[50] = 200;
  const auto names = found(inspect(scans));
  CHECK(names.count("s141 intensity") == 1);
  CHECK(names.count("s143 intensity_range") == 1);
  CHECK(names.count("s145 nearly_empty") == 1);
  for (const std::string& name : names) {
    CHECK((name.rfind("s141 ", 0) == 0 || name.rfind("s143 ", 0) == 0 || name.rfind("s145 ", 0) == 0));
  }
}

TEST_CASE("a copy with other noise is nearly a duplicate, and a scan that leaves its grid is cut off") {
  std::vector<MadeUpScan> scans = made_up_set(9, 160);
  without_labels(scans);
  const CounterRng rng(5, RandomPurpose::kSynthetic);
  for (std::size_t i = 0; i < scans[3].image.size(); ++i) {
    const int value = scans[1].image[i] + static_cast<int>(rng.below(7, i)) - 3;
    scans[3].image[i] = static_cast<std::uint8_t>(std::clamp(value, 0, 255));
  }
  // The field of view lies 9 voxels too far to the front: the head is cut at its back.
  const std::vector<std::uint8_t> whole = scans[6].image;
  for (std::int64_t d = 0; d < 40; ++d) {
    for (std::int64_t h = 0; h < 48; ++h) {
      for (std::int64_t w = 0; w < 36; ++w) {
        const std::int64_t from = h + 12;
        scans[6].image[static_cast<std::size_t>((d * 48 + h) * 36 + w)] =
            from < 48 ? whole[static_cast<std::size_t>((d * 48 + from) * 36 + w)] : std::uint8_t{0};
      }
    }
  }
  const Inspection inspection = inspect(scans);
  const auto names = found(inspection);
  REQUIRE(names == Names{"s163 near_duplicate", "s166 cropped"});
  CHECK(inspection.subjects[6].findings[0].text.find("of the outermost slice at the back") != std::string::npos);
}

TEST_CASE("inspect counts key-points of pairs for both of their scans") {
  const std::vector<MadeUpScan> scans = made_up_set(3, 270);
  const test::TemporaryFolder folder;
  const auto own =
      std::make_shared<const PairKeypoints>(PairKeypoints{{{0, 0, 0}, {1, 1, 1}}, {{2, 2, 2}, {99, 2, 2}}});
  {
    ArchiveHeader header;
    header.shape = test::kSetShape;
    header.spacing = test::kSetSpacing;
    header.subjects = 3;
    ArchiveWriter writer(folder / "a.h5", header);
    for (const MadeUpScan& scan : scans) {
      writer.add(scan.row, std::as_bytes(std::span(scan.image)));
    }
    writer.set_pairs({{"train", 0, 1, own}, {"train0", 0, 1, own}, {"train", 0, 2}});
    writer.finish();
  }
  const Inspection inspection = inspect_archive(Archive::open(folder / "a.h5"), 1);
  CHECK(inspection.subjects[0].keypoints == 2);
  CHECK(inspection.subjects[0].keypoints_outside == 0);
  CHECK(inspection.subjects[1].keypoints == 2);
  CHECK(inspection.subjects[1].keypoints_outside == 1);
  CHECK(inspection.subjects[2].keypoints == 0);
}

TEST_CASE("masks of nothing and of everything, key-points outside and poor alignments are named") {
  std::vector<MadeUpScan> scans = made_up_set(8, 260);
  for (std::size_t i = 0; i < scans.size(); ++i) {
    MadeUpScan& scan = scans[i];
    std::transform(scan.labels.begin(), scan.labels.end(), std::back_inserter(scan.mask),
                   [](std::uint8_t label) { return static_cast<std::uint8_t>(label != 0); });
    scan.labels.clear();
    scan.row.affine_ncc = 0.9 + 0.005 * static_cast<double>(i);
    scan.row.keypoints = {{0.0, 0.0, 0.0}, {39.0, 47.0, 35.4}};
  }
  std::fill(scans[1].mask.begin(), scans[1].mask.end(), std::uint8_t{0});
  std::fill(scans[2].mask.begin(), scans[2].mask.end(), std::uint8_t{1});
  scans[4].row.keypoints.push_back({10.0, 10.0, 36.0});
  scans[5].row.affine_ncc = 0.3;
  scans[6].row.affine_ncc = 0.7;
  const Inspection inspection = inspect(scans);
  REQUIRE(found(inspection) ==
          Names{"s261 mask_empty", "s262 mask_full", "s264 keypoints", "s265 affine", "s266 affine"});
  CHECK(inspection.subjects[4].findings[0].text == "1 of 3 key-points lie outside the packed grid");
  const auto masked = std::count(scans[0].mask.begin(), scans[0].mask.end(), std::uint8_t{1});
  CHECK(inspection.subjects[0].mask_share ==
        Approx(static_cast<double>(masked) / static_cast<double>(scans[0].mask.size())));
}

TEST_CASE("groups keep frames of one heart from being called duplicates, volumes are the subject's own") {
  std::vector<MadeUpScan> scans = made_up_set(8, 280);
  const CounterRng rng(6, RandomPurpose::kSynthetic);
  scans[1].labels.clear();
  scans[1].image = scans[0].image;
  for (std::size_t i = 0; i < scans[1].image.size(); ++i) {
    scans[1].image[i] = static_cast<std::uint8_t>(std::min<std::uint64_t>(255, scans[0].image[i] + rng.below(3, i)));
  }
  scans[2].row.affine[0] *= 1.1;
  const Inspection apart = inspect(scans);
  CHECK(found(apart) == Names{"s281 near_duplicate", "s281 no_labels"});
  CHECK(apart.subjects[2].label_ml[1] == Approx(1.1 * inspect(made_up_set(3, 280)).subjects[2].label_ml[1]));
  scans[0].row.group = scans[1].row.group = "heart1";
  CHECK(found(inspect(scans)) == Names{"s281 no_labels"});
}

TEST_CASE("the number of threads changes nothing") {
  std::vector<MadeUpScan> scans = made_up_set(8, 180);
  test::turn_scan(scans[3], kMirrored);
  const TemporaryFolder folder;
  test::write_set(folder / "a.h5", scans);
  const Archive archive = Archive::open(folder / "a.h5");
  CHECK(to_json(archive, inspect_archive(archive, 1)) == to_json(archive, inspect_archive(archive, 3)));
}

TEST_CASE("in a small set a face that most scans fill is no cut") {
  std::vector<MadeUpScan> scans = made_up_set(4, 210);
  const auto fill = [](MadeUpScan& scan) {
    for (std::size_t i = 0; i < scan.image.size(); i += 36) {
      scan.image[i] = 140;  // the outermost slice below
    }
  };
  fill(scans[0]);
  CHECK(found(inspect(scans)) == Names{"s210 cropped"});
  std::for_each(scans.begin() + 1, scans.end(), fill);
  CHECK(found(inspect(scans)) == Names{});
}

TEST_CASE("labels whose centres lie along a line say nothing of other axes") {
  const auto places = [](double degrees, const std::vector<Point3>& third) {
    const double angle = degrees * 3.14159265 / 180.0;
    LabelPlaces out;
    out.present.assign(3 + third.size(), true);
    for (const double at : {-20.0, 3.0, 17.0}) {
      out.centres.push_back({at * std::cos(angle), at * std::sin(angle), 0.1 * at});
    }
    out.centres.insert(out.centres.end(), third.begin(), third.end());
    return out;
  };
  std::vector<LabelPlaces> hearts;
  std::vector<LabelPlaces> heads;
  for (int i = 0; i < 9; ++i) {
    hearts.push_back(places(i == 0 ? 80.0 : 2.0 * i, {}));
    heads.push_back(places(i == 0 ? 80.0 : 2.0 * i, {{0, 0, 30}, {0, i == 0 ? 0.0 : 25.0, -10}}));
  }
  CHECK_FALSE(check_label_places(hearts, "RAS")[0].wrong_axes);
  CHECK(check_label_places(hearts, "RAS")[0].judged);
  CHECK(check_label_places(heads, "RAS")[0].wrong_axes);
}

TEST_CASE("small sets are measured though little can be said about them") {
  const Inspection inspection = inspect(made_up_set(2, 200));
  REQUIRE(found(inspection) == Names{});
  CHECK_FALSE(inspection.sides_told);
  CHECK(std::isnan(inspection.subjects[0].fit_as_is));
  CHECK(inspection.subjects[0].label_ml[1] > 500.0);
  CHECK(inspection.subjects[0].intensities[0].p50 == Approx(0.55).margin(0.1));
  CHECK(inspection.subjects[0].original_spacing == Spacing3{4, 4, 5});
}

TEST_CASE("verification lists every damaged volume, inspection stops at the first") {
  const TemporaryFolder folder;
  std::vector<MadeUpScan> scans = made_up_set(4, 220);
  test::write_set(folder / "a.h5", scans);
  {
    const Verification fine = verify_archive(Archive::open(folder / "a.h5"));
    CHECK(fine.volumes == 8);
    CHECK(fine.bytes == 8.0 * 40 * 48 * 36);
    CHECK(fine.damaged.empty());
  }
  std::string bytes = test::read_bytes(folder / "a.h5");
  for (const std::vector<std::uint8_t>& volume : {scans[1].image, scans[2].labels}) {
    const std::size_t at = bytes.find(std::string(volume.begin(), volume.end()));
    REQUIRE(at != std::string::npos);
    bytes[at + 30000] = static_cast<char>(bytes[at + 30000] ^ 1);
  }
  test::write_bytes(folder / "a.h5", bytes);
  const Archive archive = Archive::open(folder / "a.h5");
  const Verification verification = verify_archive(archive);
  REQUIRE(verification.damaged.size() == 2);
  CHECK(verification.damaged[0].find("image of 's221': checksum") != std::string::npos);
  CHECK(verification.damaged[1].find("labels of 's222': checksum") != std::string::npos);
  CHECK(test::error_text([&] { inspect_archive(archive, 2); }).find("the file is damaged") != std::string::npos);
}

TEST_CASE("docs/inspect.md names every rule and every JSON key") {
  const std::string page = read_file(std::filesystem::path(REGATTA_SOURCE_DIR) / "docs" / "inspect.md");
  const auto named = [&](const std::string& name) {
    INFO(name);
    CHECK(page.find(str('`', name, '`')) != std::string::npos);
  };
  for (const char* rule : {"mirrored", "wrong_axes", "no_labels", "empty_labels", "missing_labels", "label_volume",
                           "intensity", "intensity_range", "nearly_empty", "duplicate", "same_labels", "near_duplicate",
                           "cropped", "affine", "mask_empty", "mask_full", "keypoints"}) {
    named(rule);
  }
  const TemporaryFolder folder;
  test::write_set(folder / "a.h5", made_up_set(2, 240));
  const Archive archive = Archive::open(folder / "a.h5");
  const Json json = to_json(archive, inspect_archive(archive, 2));
  for (const auto& item : json.items()) {
    named(item.key());
  }
  for (const auto& item : json.at("subjects").at(0).items()) {
    named(item.key());
  }
  for (const auto& item : json.at("subjects").at(0).at("intensities").at(0).items()) {
    named(item.key());
  }
}
