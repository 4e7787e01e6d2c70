// Releases of Learn2Reg on little made-up folders: pairs, groups, splits, modalities and key-points.
#include "volume/layouts/layout.hpp"

#include <stdexcept>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "attempt.hpp"
#include "files.hpp"
#include "found_set.hpp"
#include "regatta/base/text.hpp"
#include "regatta/volume/nifti.hpp"
#include "scan_folder.hpp"
#include "support/catch.hpp"

using namespace regatta;
using regatta::test::error_text;
using regatta::test::find_in;
using regatta::test::Found;
using regatta::test::pairs_of;
using regatta::test::row_of;
using regatta::test::ScanFolder;
using regatta::test::spaced;

TEST_CASE("layout learn2reg: pairs of the release, two scans of a patient are a group") {
  ScanFolder folder;
  for (const char* name : {"L_0001_0000", "L_0001_0001", "L_0002_0000", "L_0002_0001", "L_0003_0000", "L_0003_0001"}) {
    folder.scan(str("imagesTr/", name, ".nii.gz")).scan(str("masksTr/", name, ".nii.gz"));
    folder.text(str("keypointsTr/", name, ".csv"), "1,1,1\n");
  }
  folder.text("L_dataset.json", R"({"name": "L", "description": "lungs", "modality": {"0": "CT"},
    "training": [{"image": "./imagesTr/L_0001_0000.nii.gz", "mask": "./masksTr/L_0001_0000.nii.gz"},
                 {"image": "./imagesTr/L_0001_0001.nii.gz"}],
    "training_paired_images": [{"fixed": "./imagesTr/L_0001_0000.nii.gz", "moving": "./imagesTr/L_0001_0001.nii.gz"}],
    "registration_val": [{"fixed": "./imagesTr/L_0002_0000.nii.gz", "moving": "./imagesTr/L_0002_0001.nii.gz"}],
    "registration_test": [{"fixed": "./imagesTs/L_0009_0000.nii.gz", "moving": "./imagesTs/L_0009_0001.nii.gz"}],
    "test": ["./imagesTs/L_0010_0000.nii.gz"]})");
  const Found found = find_in(folder);
  CHECK(found.layout == "learn2reg");
  CHECK(found.set.anatomy == Anatomy::kLung);
  CHECK(found.set.is_ct);
  REQUIRE(found.set.subjects.size() == 4);
  CHECK(
      row_of(found.set.subjects[0]) ==
      "L_0001_0000 imagesTr/L_0001_0000.nii.gz - masksTr/L_0001_0000.nii.gz keypointsTr/L_0001_0000.csv L_0001 train");
  CHECK(row_of(found.set.subjects[3]) ==
        "L_0002_0001 imagesTr/L_0002_0001.nii.gz - masksTr/L_0002_0001.nii.gz keypointsTr/L_0002_0001.csv L_0002 val");
  CHECK(pairs_of(found.set) == "-:L_0001_0001>L_0001_0000 val:L_0002_0001>L_0002_0000");
  CHECK(join(found.set.notes, "|") ==
        "pairs of L_dataset.json left out, their images are not there: 1|files named by L_dataset.json do not exist: 2 "
        "(imagesTs/L_0009_0000.nii.gz, imagesTs/L_0009_0001.nii.gz)|images of `test` left out, no pair of "
        "`registration_test` has them: 1");
}

TEST_CASE("layout learn2reg: several modalities are channels only where no pair joins them") {
  const auto made = [](const std::string& pairs) {
    ScanFolder folder;
    for (const char* name : {"M_0001_0000", "M_0001_0001", "M_0002_0000", "M_0002_0001"}) {
      folder.scan(str("imagesTr/", name, ".nii.gz"));
    }
    folder.text("M_dataset.json", str(R"({"name": "M", "modality": {"0": "MR", "1": "CT"},
      "training": [{"image": "./imagesTr/M_0001_0000.nii.gz"}, {"image": "./imagesTr/M_0002_0000.nii.gz"}],
      "training_paired_images": [)",
                                      pairs, "]}"));
    return find_in(folder).set;
  };
  const FoundSet channels = made("");
  CHECK(channels.modalities == std::vector<std::string>{"MR", "CT"});
  REQUIRE(channels.subjects.size() == 2);
  CHECK(row_of(channels.subjects[0]) ==
        R"(M_0001 {"MR":"imagesTr/M_0001_0000.nii.gz","CT":"imagesTr/M_0001_0001.nii.gz"} - - - M_0001 -)");
  const FoundSet sides =
      made(R"({"fixed": "./imagesTr/M_0001_0000.nii.gz", "moving": "./imagesTr/M_0001_0001.nii.gz"})");
  CHECK(sides.modalities.empty());
  CHECK(pairs_of(sides) == "-:M_0001_0001>M_0001_0000");
  CHECK(sides.subjects.size() == 2);
  CHECK(join(sides.notes, "|") == "images of `training` left out, no pair of `training_paired_images` has them: 1");
}

TEST_CASE("layout learn2reg: the release's own validation pairs, as in LUMIR, are its split val") {
  ScanFolder folder;
  for (const char* name : {"imagesTr/LUMIRMRI_0000_0000", "imagesTr/LUMIRMRI_0001_0000", "imagesTr/LUMIRMRI_0002_0000",
                           "imagesVal/LUMIRMRI_3454_0000", "imagesVal/LUMIRMRI_3455_0000"}) {
    folder.scan(str(name, ".nii.gz"));
  }
  folder.text("LUMIR_dataset.json", R"({"name": "LUMIR", "modality": {"0": "MR"},
    "training": [{"image": "./imagesTr/LUMIRMRI_0000_0000.nii.gz"}, {"image": "./imagesTr/LUMIRMRI_0001_0000.nii.gz"},
                 {"image": "./imagesTr/LUMIRMRI_0002_0000.nii.gz"}],
    "validation": [{"fixed": "./imagesVal/LUMIRMRI_3455_0000.nii.gz", "moving": "./imagesVal/LUMIRMRI_3454_0000.nii.gz"}],
    "registration_val": [{"fixed": "./imagesVal/LUMIRMRI_3455_0000.nii.gz",
                          "moving": "./imagesVal/LUMIRMRI_3454_0000.nii.gz"}]})");
  const FoundSet set = find_in(folder).set;
  REQUIRE(set.subjects.size() == 5);
  CHECK(row_of(set.subjects[2]) == "LUMIRMRI_0002_0000 imagesTr/LUMIRMRI_0002_0000.nii.gz - - - LUMIRMRI_0002 train");
  CHECK(row_of(set.subjects[3]) == "LUMIRMRI_3454_0000 imagesVal/LUMIRMRI_3454_0000.nii.gz - - - LUMIRMRI_3454 val");
  CHECK(pairs_of(set) == "val:LUMIRMRI_3454_0000>LUMIRMRI_3455_0000");
  CHECK(set.notes.empty());
}

TEST_CASE("layout learn2reg: images to validate on, pairs to test on, and lists of other names") {
  ScanFolder folder;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    folder.scan(str("imagesTr/", name, ".nii.gz"));
  }
  folder.text("X_dataset.json", R"({"training": ["imagesTr/a.nii.gz"], "validation": [{"image": "imagesTr/b.nii.gz"}],
    "test": [{"fixed": "imagesTr/c.nii.gz", "moving": "imagesTr/d.nii.gz"}], "extra": [{"image": "imagesTr/e.nii.gz"}],
    "labels": ["background", "brain"]})");
  const FoundSet set = find_in(folder).set;
  REQUIRE(set.subjects.size() == 4);
  CHECK(set.subjects[0].split == "train");
  CHECK(set.subjects[1].split == "val");
  CHECK(set.subjects[3].split == "test");
  CHECK(pairs_of(set) == "test:d>c");
  CHECK(join(set.notes, "|") ==
        "list `extra` of X_dataset.json not understood: 1 rows; known are training, validation, test, "
        "training_paired_images, registration_val, registration_test");
}

TEST_CASE("layout learn2reg: a scan of two pairs has key-points in each, as in ThoraxCBCT") {
  ScanFolder folder;
  Json list = {{"name", "ThoraxCBCT"}};
  for (const char* patient : {"T_0000", "T_0001"}) {
    for (const char* scan : {"_0000", "_0001", "_0002"}) {
      folder.scan(str("imagesTr/", patient, scan, ".nii.gz"));
      for (const char* pair : {"01", "02"}) {
        if (std::string(scan) == "_0000" || scan[4] == pair[1]) {
          folder.text(str("keypoints", pair, "Tr/", patient, scan, ".csv"), "1,1,1\n");
        }
      }
    }
    for (const char* fixed : {"_0001", "_0002"}) {
      list[std::string(patient) == "T_0000" ? "training_paired_images" : "registration_val"].push_back(
          {{"fixed", str("./imagesTr/", patient, fixed, ".nii.gz")},
           {"moving", str("./imagesTr/", patient, "_0000.nii.gz")}});
    }
  }
  folder.text("ThoraxCBCT_dataset.json", dump_line(list));
  const FoundSet set = find_in(folder).set;
  REQUIRE(set.pairs.size() == 4);
  CHECK(set.pairs[0].moving_keypoints == "keypoints01Tr/T_0000_0000.csv");
  CHECK(set.pairs[0].fixed_keypoints == "keypoints01Tr/T_0000_0001.csv");
  CHECK(set.pairs[1].moving_keypoints == "keypoints02Tr/T_0000_0000.csv");
  CHECK(set.pairs[1].fixed_keypoints == "keypoints02Tr/T_0000_0002.csv");
  CHECK(set.pairs[3].fixed_keypoints == "keypoints02Tr/T_0001_0002.csv");
  CHECK(set.subjects[0].keypoints.empty());
}

TEST_CASE("layout learn2reg: a wrong list is refused with its place") {
  ScanFolder folder;
  folder.text("X_dataset.json", R"({"training": [{"label": "a.nii.gz"}]})");
  CHECK(
      error_text([&] { find_in(folder); })
          .ends_with(
              R"(X_dataset.json: /training/0: an image's path, or fixed and moving expected, got {"label":"a.nii.gz"})"));
  folder.text("Y_dataset.json", "{}");
  CHECK(error_text([&] {
          find_in(folder);
        }).ends_with("2 files NAME_dataset.json (X_dataset.json, Y_dataset.json), one expected"));
}

TEST_CASE("layout learn2reg: numbered cases without pairs are patients of their own; of MR and CT neither is assumed") {
  ScanFolder folder;
  folder.scan("imagesTr/amos_0001.nii.gz").scan("imagesTr/amos_0002.nii.gz");
  folder.text("dataset.json", R"({"name": "A", "modality": {"0": "CT"},
    "training": ["./imagesTr/amos_0001.nii.gz", "./imagesTr/amos_0002.nii.gz"]})");
  const FoundSet cases = find_in(folder).set;
  CHECK(cases.is_ct);
  CHECK(cases.subjects[0].group == "amos_0001");
  ScanFolder mixed;
  mixed.scan("imagesTr/a_0001_0000.nii.gz").scan("imagesTr/a_0001_0001.nii.gz");
  mixed.text("a_dataset.json", R"({"name": "A", "modality": {"0": "MR", "1": "CT"},
    "training": ["./imagesTr/a_0001_0000.nii.gz", "./imagesTr/a_0001_0001.nii.gz"], "training_paired_images":
    [{"fixed": "./imagesTr/a_0001_0000.nii.gz", "moving": "./imagesTr/a_0001_0001.nii.gz"}]})");
  const FoundSet both = find_in(mixed).set;
  CHECK_FALSE(both.is_ct);
  CHECK(both.subjects[1].group == "a_0001");
}
