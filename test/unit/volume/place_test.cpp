// The place of a data set's scans to each other: where their headers say on one grid per group, or about their middles.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "files.hpp"
#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "regatta/volume/archive.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/pack.hpp"
#include "regatta/volume/resample.hpp"
#include "support/catch.hpp"
#include "support/head.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::cut;
using regatta::test::error_text;
using regatta::test::head;
using regatta::test::TemporaryFolder;
using regatta::test::turned_grid;

namespace {

constexpr Shape3 kShape = {40, 48, 35};

void write(const std::filesystem::path& path, const Volume& volume) {
  write_nifti(path, std::span<const float>(volume.voxels), volume.grid);
}

/// Patients p and q with two scans each, cut at different places; q lies elsewhere. Labels are what is bright.
struct Patients {
  Patients() {
    for (const char* name : {"p", "q"}) {
      Volume whole = head(kShape, 4.0, name[0] == 'p' ? 1.0 : 0.9);
      whole.grid.affine[7] += name[0] == 'p' ? 0.0 : 250.0;
      for (const auto& [scan, begin, end] : {std::tuple{"1", 0, 35}, std::tuple{"2", 5, 40}}) {
        const Volume part = cut(whole, 0, begin, end);
        write(folder / str(name, scan, ".nii.gz"), part);
        std::vector<std::int32_t> labels;
        std::transform(part.voxels.begin(), part.voxels.end(), std::back_inserter(labels),
                       [](float value) { return value > 0.6F ? 7 : 0; });
        write_nifti(folder / str(name, scan, "_seg.nii.gz"), std::span<const std::int32_t>(labels), part.grid);
      }
    }
    json = parse_json(R"({"schema": 1, "subjects": [], "pairs": {"rule": "explicit", "explicit": [
      {"split": "train", "moving": "p2", "fixed": "p1"}, {"split": "val", "moving": "q2", "fixed": "q1"}]},
      "preprocess": {"spacing_mm": [4, 4, 4], "shape": [40, 48, 40], "intensity": {"kind": "minmax"}}})",
                      "test");
    for (const char* id : {"p1", "p2", "q1", "q2"}) {
      json["subjects"].push_back({{"id", id},
                                  {"image", str(id, ".nii.gz")},
                                  {"labels", str(id, "_seg.nii.gz")},
                                  {"group", std::string(1, id[0])},
                                  {"split", id[0] == 'p' ? "train" : "val"}});
    }
  }

  PackSummary pack(const char* name, bool update = false) const {
    PackOptions options;
    options.output = folder / name;
    options.threads = 2;
    options.replace = true;
    options.update = update;
    return pack_dataset(dataset_from_json(json, folder.path()), options);
  }

  Archive packed(const char* name) const {
    pack(name);
    return Archive::open(folder / name);
  }

  TemporaryFolder folder;
  Json json;
};

std::vector<std::uint8_t> image_of(const Archive& archive, std::int64_t subject) {
  std::vector<std::uint8_t> out(static_cast<std::size_t>(voxel_count(archive.shape())));
  archive.read_image(subject, std::as_writable_bytes(std::span(out)));
  return out;
}

/// Voxels of two subjects that differ by more than a step, of those that neither has cut off (its first and last
/// slices).
std::int64_t unequal(const Archive& archive, std::int64_t a, std::int64_t b) {
  const auto one = image_of(archive, a);
  const auto other = image_of(archive, b);
  std::int64_t count = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    const bool in_both = one[i] > 0 && other[i] > 0;
    count += in_both && std::abs(int{one[i]} - int{other[i]}) > 1 ? 1 : 0;
  }
  return count;
}

}  // namespace

TEST_CASE("scans of one session stay where their headers say, each patient on its first fixed scan's grid") {
  Patients patients;
  const Archive centred = patients.packed("centred.h5");
  CHECK(unequal(centred, 0, 1) > 1000);  // 20 mm off
  CHECK(centred.preprocessing().at("place") == "centre");
  patients.json["preprocess"]["place"] = "physical";
  const Archive archive = patients.packed("physical.h5");
  CHECK(archive.preprocessing().at("place") == "physical");
  for (const std::int64_t first : {0, 2}) {
    const auto& subjects = archive.subjects();
    const auto at = static_cast<std::size_t>(first);
    CHECK(unequal(archive, first, first + 1) == 0);
    CHECK(subjects[at].affine == subjects[at + 1].affine);
    CHECK(subjects[at].affine == centred.subjects()[at].affine);  // the first fixed scan's own
    std::vector<std::uint8_t> one(static_cast<std::size_t>(voxel_count(archive.shape())));
    std::vector<std::uint8_t> other(one.size());
    archive.read_labels(first, one);
    archive.read_labels(first + 1, other);
    CHECK(std::count(one.begin(), one.end(), 1) > 100);
    CHECK(one == other);
  }
  CHECK(archive.subjects()[0].affine != archive.subjects()[2].affine);
}

TEST_CASE("an oblique scan is packed on its group's grid, turned through space") {
  Patients patients;
  Volume turned = head(kShape, 4.0);
  const Volume whole = turned;
  turned.grid = turned_grid(whole.grid, 15.0, {8, -4, 6});
  turned.voxels = resample_to_grid(whole.voxels, whole.grid, turned.grid, Interpolation::kLinear);
  write(patients.folder / "p2.nii.gz", turned);
  for (Json& subject : patients.json["subjects"]) {
    subject.erase("labels");
  }
  const auto difference = [&](const char* name) {
    const Archive archive = patients.packed(name);
    const auto one = image_of(archive, 0);
    const auto other = image_of(archive, 1);
    double sum = 0.0;
    for (std::size_t i = 0; i < one.size(); ++i) {
      sum += one[i] > 0 ? std::abs(double(one[i]) - double(other[i])) : 0.0;
    }
    return sum / static_cast<double>(one.size());
  };
  const double centred = difference("centred.h5");
  patients.json["preprocess"]["place"] = "physical";
  CHECK(difference("physical.h5") < 0.3 * centred);
}

TEST_CASE("what is packed about its middle keeps its keys; another grid is another key") {
  Patients patients;
  const Archive before = patients.packed("a.h5");
  // As it was before there was a place: of the files and of these options, written out.
  const auto hash = [&](const char* name) {
    const std::string bytes = test::read_bytes(patients.folder / name);
    return hex_text(xxh3(bytes.data(), bytes.size()));
  };
  const Json key = {{"version", 2},
                    {"images", {hash("p1.nii.gz"), -1}},
                    {"preprocess", parse_json(R"({"orientation": "RAS", "spacing_mm": [4.0, 4.0, 4.0],
                      "shape": [40, 48, 40], "center": "volume", "foreground_above": 0.0, "intensity": {"kind": "minmax",
                      "low": 0.0, "high": 99.9, "within": "volume"}, "modalities": {}, "type": "uint8"})",
                                              "test")},
                    {"modalities", {"image"}},
                    {"npz_orientation", "RAS"},
                    {"atlas", ""},
                    {"labels", hash("p1_seg.nii.gz")},
                    {"label_rule", {{"merge", Json::object()}, {"others", "keep"}}}};
  CHECK(before.subjects()[0].source_key == hash_json(key));
  patients.json["preprocess"]["place"] = "centre";
  CHECK(patients.pack("a.h5", true).reused == 4);
  patients.json["preprocess"]["place"] = "physical";
  CHECK(patients.pack("a.h5", true).reused == 2);  // the first fixed scans lie as before
  CHECK(patients.pack("a.h5", true).reused == 4);
  CHECK(Archive::open(patients.folder / "a.h5").fingerprint() != before.fingerprint());
  CHECK(patients.packed("b.h5").fingerprint() == Archive::open(patients.folder / "a.h5").fingerprint());
}

TEST_CASE("pairs across groups join their spaces, and an atlas gives its grid to all") {
  Patients patients;
  patients.json["preprocess"]["place"] = "physical";
  patients.json["pairs"]["explicit"].push_back({{"split", "val"}, {"moving", "p1"}, {"fixed", "q1"}});
  write(patients.folder / "q1.nii.gz", cut(head(kShape, 4.0, 0.9), 0, 0, 35));  // beside p now
  write(patients.folder / "q2.nii.gz", cut(head(kShape, 4.0, 0.9), 0, 5, 40));
  for (Json& subject : patients.json["subjects"]) {
    subject.erase("labels");
  }
  const Archive joined = patients.packed("joined.h5");
  for (const ArchiveSubject& subject : joined.subjects()) {
    CHECK(subject.affine == joined.subjects()[0].affine);
  }
  patients.json["pairs"] = {{"rule", "atlas"}, {"atlas", "q2"}};
  const Archive atlas = patients.packed("atlas.h5");
  CHECK(atlas.subjects()[3].affine != joined.subjects()[3].affine);
  for (const ArchiveSubject& subject : atlas.subjects()) {
    CHECK(subject.affine == atlas.subjects()[3].affine);
  }
}

TEST_CASE("a physical place is refused to scans that do not say where they lie, and beside an alignment") {
  Patients patients;
  patients.json["preprocess"]["place"] = "physical";
  const Volume scan = head(kShape, 4.0);
  test::NiftiMaker maker;
  maker.shape = kShape;
  maker.sform_code = 0;
  maker.values.assign(scan.voxels.begin(), scan.voxels.end());
  test::write_bytes(patients.folder / "q2.nii", maker.bytes());
  patients.json["subjects"][3]["image"] = "q2.nii";
  patients.json["subjects"][3].erase("labels");
  const std::string text = error_text([&] { patients.pack("x.h5"); });
  CHECK(text.find("subject 'q2'") == 0);
  CHECK(text.find("does not say where the scan lies") != std::string::npos);
  patients.json["affine"] = "to_atlas";
  patients.json["affine_atlas"] = "p1";
  CHECK(error_text([&] { patients.pack("x.h5"); }).find("/preprocess/place: physical, and /affine: to_atlas") == 0);
  patients.json["affine"] = "none";
  patients.json["preprocess"]["place"] = "affine";
  CHECK(error_text([&] { patients.pack("x.h5"); }).find("/preprocess/place: affine, and /affine: none") == 0);
}
