// Each layout on little made-up folders: which files become which part of which subject.
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

TEST_CASE("layout acdc: ED and ES of each patient, pairs both ways, training and test patients") {
  ScanFolder folder;
  for (const char* name : {"training/patient007", "testing/patient101"}) {
    const std::string patient = std::filesystem::path(name).filename().string();
    folder.text(str(name, "/Info.cfg"), "ED: 1\nES: 12\nNbFrame: 30\n");
    folder.series(str(name, "/", patient, "_4d.nii.gz"), 2);
    for (const char* frame : {"01", "12"}) {
      folder.scan(str(name, "/", patient, "_frame", frame, ".nii.gz"));
      folder.scan(str(name, "/", patient, "_frame", frame, "_gt.nii.gz"));
    }
  }
  const Found found = find_in(folder);
  CHECK(found.layout == "acdc");
  REQUIRE(found.set.subjects.size() == 4);
  CHECK(row_of(found.set.subjects[1]) ==
        "patient007_ES training/patient007/patient007_frame12.nii.gz "
        "training/patient007/patient007_frame12_gt.nii.gz - - patient007 -");
  CHECK(found.set.subjects[2].split == "test");
  CHECK(pairs_of(found.set) ==
        "-:patient007_ED>patient007_ES -:patient007_ES>patient007_ED "
        "test:patient101_ED>patient101_ES test:patient101_ES>patient101_ED");
  folder.text("training/patient007/Info.cfg", "ED: 1\nES: 3\n");
  CHECK(error_text([&] { find_in(folder); }).find("Info.cfg: ES: 3, but ") != std::string::npos);
  folder.text("training/patient007/Info.cfg", "ED: one\nES: 3\n");
  CHECK(error_text([&] { find_in(folder); }).ends_with("Info.cfg: ED: 'one', a frame number expected"));
}

TEST_CASE("layout acdc: the whole release has the benchmark's validation patients") {
  ScanFolder folder;
  for (const int number : {1, 18, 100}) {
    const std::string name = str("patient", number < 100 ? "0" : "", number < 10 ? "0" : "", number);
    folder.text(name + "/Info.cfg", "ED: 1\nES: 2\n");
    folder.scan(str(name, "/", name, "_frame01.nii.gz")).scan(str(name, "/", name, "_frame02.nii.gz"));
  }
  const FoundSet set = find_in(folder).set;
  CHECK(set.subjects[0].split == "train");
  CHECK(set.subjects[2].split == "val");
  CHECK(set.subjects[4].split == "val");
}

TEST_CASE("layout bids: T1w scans of all sessions, label maps and masks of derivatives, other scans noted") {
  ScanFolder folder;
  folder.text("dataset_description.json", R"({"Name": "Visits", "BIDSVersion": "1.8.0"})");
  folder.scan("sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz").scan("sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz");
  folder.scan("sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz").scan("sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz");
  folder.scan("sub-02/ses-1/func/sub-02_ses-1_bold.nii.gz");
  folder.scan("derivatives/seg/sub-01/ses-2/anat/sub-01_ses-2_dseg.nii.gz");
  folder.scan("derivatives/seg/sub-01/ses-1/anat/sub-01_ses-1_space-MNI_dseg.nii.gz");
  folder.scan("derivatives/seg/sub-02/ses-1/anat/sub-02_ses-1_desc-brain_mask.nii.gz");
  const Found found = find_in(folder);
  CHECK(found.layout == "bids");
  CHECK(found.set.name == "Visits");
  REQUIRE(found.set.subjects.size() == 3);
  CHECK(row_of(found.set.subjects[0]) == "sub-01_ses-1 sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz - - - sub-01 -");
  CHECK(row_of(found.set.subjects[1]) ==
        "sub-01_ses-2 sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz "
        "derivatives/seg/sub-01/ses-2/anat/sub-01_ses-2_dseg.nii.gz - - sub-01 -");
  CHECK(found.set.subjects[2].mask == "derivatives/seg/sub-02/ses-1/anat/sub-02_ses-1_desc-brain_mask.nii.gz");
  CHECK(join(found.set.notes, "|") ==
        "T2w scans not used, T1w is: 1; `modalities` and `images` take several kinds of scan a subject");
}

TEST_CASE("layout oasis: aligned scans before others, visits are a group") {
  ScanFolder folder;
  for (const char* name : {"OASIS_OAS1_0001_MR1", "OASIS_OAS1_0001_MR2", "OASIS_OAS1_0002_MR1"}) {
    folder.scan(str(name, "/norm.nii.gz")).scan(str(name, "/seg35.nii.gz")).scan(str(name, "/seg4.nii.gz"));
  }
  Found found = find_in(folder);
  CHECK(found.layout == "oasis");
  REQUIRE(found.set.subjects.size() == 3);
  CHECK(row_of(found.set.subjects[1]) ==
        "OASIS_OAS1_0001_MR2 OASIS_OAS1_0001_MR2/norm.nii.gz "
        "OASIS_OAS1_0001_MR2/seg35.nii.gz - - OASIS_OAS1_0001 -");
  CHECK(found.set.notes.size() == 1);
  CHECK(found.set.known.contains("OASIS_OAS1_0002_MR1/seg4.nii.gz"));
  for (const char* name : {"OASIS_OAS1_0001_MR1", "OASIS_OAS1_0001_MR2", "OASIS_OAS1_0002_MR1"}) {
    folder.scan(str(name, "/aligned_norm.nii.gz")).scan(str(name, "/aligned_seg35.nii.gz"));
  }
  found = find_in(folder);
  CHECK(found.set.subjects[0].image == "OASIS_OAS1_0001_MR1/aligned_norm.nii.gz");
  CHECK(found.set.subjects[0].labels == "OASIS_OAS1_0001_MR1/aligned_seg35.nii.gz");
  CHECK(found.set.notes.empty());
}

TEST_CASE("layout nnunet: channels by name, a case that lacks one is left out, imagesTs are the test split") {
  ScanFolder folder;
  folder.text("dataset.json", R"({"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "x": 1},
    "numTraining": 2, "file_ending": ".nii.gz"})");
  for (const char* name : {"imagesTr/a_0000", "imagesTr/a_0001", "imagesTr/b_0000", "imagesTs/c_0000",
                           "imagesTs/c_0001", "labelsTr/a", "labelsTr/b"}) {
    folder.scan(str(name, ".nii.gz"));
  }
  const Found found = find_in(folder);
  CHECK(found.layout == "nnunet");
  CHECK(found.set.modalities == std::vector<std::string>{"T1", "T2"});
  REQUIRE(found.set.subjects.size() == 2);
  CHECK(row_of(found.set.subjects[0]) ==
        R"(a {"T1":"imagesTr/a_0000.nii.gz","T2":"imagesTr/a_0001.nii.gz"} labelsTr/a.nii.gz - - a -)");
  CHECK(found.set.subjects[1].split == "test");
  CHECK(join(found.set.notes, "|") == "cases left out, they lack one of the channels T1, T2: 1 (b)");
}

TEST_CASE("layout nnunet: one channel, and names without channels") {
  ScanFolder one;
  one.text("dataset.json", R"({"channel_names": {"0": "CT"}})");
  one.scan("imagesTr/a_0000.nii.gz").scan("labelsTr/a.nii.gz");
  const FoundSet ct = find_in(one).set;
  CHECK(ct.is_ct);
  CHECK(row_of(ct.subjects[0]) == "a imagesTr/a_0000.nii.gz labelsTr/a.nii.gz - - a -");
  ScanFolder plain;
  plain.scan("imagesTr/b.nii").scan("labelsTr/b.nii");
  CHECK(row_of(find_in(plain).set.subjects[0]) == "b imagesTr/b.nii labelsTr/b.nii - - b -");
}

TEST_CASE("layout nnunet: numbered cases are patients of their own") {
  ScanFolder folder;
  folder.text("dataset.json", R"({"channel_names": {"0": "MR"}})");
  folder.scan("imagesTr/amos_0001_0000.nii.gz").scan("labelsTr/amos_0001.nii.gz");
  folder.scan("imagesTr/amos_0002_0000.nii.gz").scan("labelsTr/amos_0002.nii.gz");
  const FoundSet channel = find_in(folder).set;
  REQUIRE(channel.subjects.size() == 2);
  CHECK(channel.subjects[0].group == "amos_0001");
  CHECK(channel.subjects[1].group == "amos_0002");
  ScanFolder plain;  // two scans of the first
  for (const char* name : {"p_01_0000", "p_01_0001", "q_0002"}) {
    plain.scan(str("imagesTr/", name, ".nii.gz")).scan(str("labelsTr/", name, ".nii.gz"));
  }
  const FoundSet scans = find_in(plain).set;
  REQUIRE(scans.subjects.size() == 3);
  CHECK(scans.subjects[0].group == "p_01");
  CHECK(scans.subjects[1].group == "p_01");
  CHECK(scans.subjects[2].group == "q_0002");
}

TEST_CASE("folders behind symbolic links are entered, but not in circles") {
  ScanFolder elsewhere;
  elsewhere.scan("s2/scan.nii.gz").scan("s3/scan.nii.gz");
  ScanFolder folder;
  folder.scan("s1/scan.nii.gz");
  std::filesystem::create_directory_symlink(elsewhere.path(), folder.path() / "more");
  std::filesystem::create_directory_symlink(elsewhere.path(), folder.path() / "more_again");
  std::filesystem::create_directory_symlink(folder.path(), folder.path() / "s1/round");
  std::filesystem::create_directory_symlink(elsewhere.path(), elsewhere.path() / "s2/round");
  std::filesystem::create_directory_symlink("s2", elsewhere.path() / "latest");
  std::filesystem::create_symlink("nowhere", folder.path() / "gone.txt");
  CHECK(ScanTree::read(folder.path()).volumes().size() == 3);
}

TEST_CASE("one odd file does not decide the layout") {
  ScanFolder folder;
  folder.series("bold.nii.gz", 3).scan("extra/brain.nii.gz").text("masked_t1/readme.txt", "");
  folder.scan("masked_t1/a.nii.gz").scan("masked_t1/b.nii.gz").scan("masked_t1/a_brain_mask.nii.gz");
  const Found found = find_in(folder);
  CHECK(found.layout == "flat");
  REQUIRE(found.set.subjects.size() == 4);
  const auto a = std::find_if(found.set.subjects.begin(), found.set.subjects.end(),
                              [](const SubjectEntry& subject) { return subject.id == "a"; });
  REQUIRE(a != found.set.subjects.end());
  CHECK(a->mask == "masked_t1/a_brain_mask.nii.gz");
  ScanFolder breath;
  breath.series("dirlab_4dct_1.nii.gz", 2).series("dirlab_4dct_2.nii.gz", 2);
  CHECK(find_in(breath).set.anatomy == Anatomy::kLung);
}

TEST_CASE("what lies beside a scan does not change the layout") {
  ScanFolder hearts;  // ACDC without Info.cfg
  ScanFolder oasis;
  ScanFolder words;
  for (const char* name : {"p1", "p2"}) {
    hearts.series(str(name, '/', name, "_4d.nii.gz"), 3).scan(str(name, '/', name, "_frame01.nii.gz"));
    hearts.scan(str(name, '/', name, "_frame01_gt.nii.gz")).scan(str(name, '/', name, "_frame03.nii.gz"));
    oasis.scan(str(name, "/mri/norm.nii.gz")).scan(str(name, "/mri/aseg.nii.gz")).scan(str(name, "/mri/orig/1.nii.gz"));
    words.scan(str("imagesTrain/", name, ".nii.gz")).scan(str("labelsTrain/", name, ".nii.gz"));
  }
  CHECK(find_in(hearts).layout == "series");
  CHECK(find_in(hearts, "flat").set.subjects[1].group == "p1");
  CHECK(find_in(oasis).layout == "oasis");
  const FoundSet flat = find_in(words).set;
  REQUIRE(flat.subjects.size() == 2);
  CHECK(flat.subjects[0].labels == "labelsTrain/p1.nii.gz");
}

TEST_CASE("layout bids: a lesion's mask is no mask of the brain") {
  ScanFolder folder;
  folder.scan("sub-01/anat/sub-01_T1w.nii.gz");
  folder.scan("derivatives/m/sub-01/anat/sub-01_label-lesion_mask.nii.gz");
  folder.scan("derivatives/m/sub-01/anat/sub-01_desc-brainstem_mask.nii.gz");
  folder.scan("derivatives/m/sub-01/anat/sub-01_mask.nii.gz");
  folder.scan("derivatives/afmri/sub-01/func/sub-01_task-rest_desc-brain_mask.nii.gz");
  folder.scan("derivatives/m/sub-01/anat/sub-01_space-orig_label-brain_mask.nii.gz");
  const FoundSet found = find_in(folder).set;
  CHECK(found.subjects[0].mask == "derivatives/m/sub-01/anat/sub-01_space-orig_label-brain_mask.nii.gz");
  CHECK(found.notes.front().find("masks not used, they are not named desc-brain or label-brain: 3") == 0);
}

TEST_CASE("layout series: frames are subjects, the series is their group") {
  ScanFolder folder;
  folder.series("h1.nii.gz", 3).series("h1_gt.nii.gz", 3).series("h2.nii", 2);
  const Found found = find_in(folder);
  CHECK(found.layout == "series");
  REQUIRE(found.set.subjects.size() == 5);
  CHECK(row_of(found.set.subjects[2]) == "h1_f02 h1.nii.gz h1_gt.nii.gz - - h1 -");
  CHECK(found.set.subjects[2].frame == 2);
  CHECK(found.set.subjects[3].labels.empty());
  CHECK(pairs_of(found.set) ==
        "-:h1_f00>h1_f01 -:h1_f01>h1_f00 -:h1_f00>h1_f02 -:h1_f02>h1_f00 -:h2_f00>h2_f01 "
        "-:h2_f01>h2_f00");
}

TEST_CASE("a series that we write has its frames in the header, one volume each") {
  regatta::test::TemporaryFolder folder;
  const std::vector<std::int16_t> voxels(2 * 3 * 4 * 5, 7);
  write_nifti_series(folder / "s.nii.gz", voxels, {{3, 4, 5}, spaced(1, 2, 3)}, 2);
  const ScanTree tree = ScanTree::read(folder.path());
  const ScanHeader* header = tree.header("s.nii.gz");
  REQUIRE(header != nullptr);
  CHECK(header->frames == 2);
  CHECK(header->grid.shape == Shape3{3, 4, 5});
  CHECK(spacing_of(header->grid.affine)[2] == Approx(3.0));
  write_nifti_series(folder / "s.nii", voxels, {{3, 4, 5}, spaced(1, 2, 3)}, 2);
  CHECK(std::filesystem::file_size(folder / "s.nii") == 352 + 2 * voxels.size());
}

TEST_CASE("layout flat: twins by their ends and by folders, the atlas by its name") {
  ScanFolder folder;
  folder.scan("atlas.nii.gz").scan("atlas_labels.nii.gz").scan("p1.nii.gz").scan("p1_seg.nii.gz");
  folder.scan("p1_mask.nii.gz").text("p1_keypoints.csv", "1,1,1\n").text("p2.csv", "1,1,1\n").scan("p2.nii");
  Found found = find_in(folder);
  CHECK(found.layout == "flat");
  CHECK(found.set.atlas == "atlas");
  REQUIRE(found.set.subjects.size() == 3);
  CHECK(row_of(found.set.subjects[0]) == "atlas atlas.nii.gz atlas_labels.nii.gz - - atlas atlas");
  CHECK(row_of(found.set.subjects[1]) == "p1 p1.nii.gz p1_seg.nii.gz p1_mask.nii.gz p1_keypoints.csv p1 -");
  CHECK(row_of(found.set.subjects[2]) == "p2 p2.nii - - p2.csv p2 -");

  ScanFolder pair;
  pair.text("a.hdr", "").text("a.img", "").text("a_seg.hdr", "").text("a_seg.img", "");
  const FoundSet halves = find_in(pair).set;
  REQUIRE(halves.subjects.size() == 1);
  CHECK(row_of(halves.subjects[0]) == "a a.hdr a_seg.hdr - - a -");

  ScanFolder folders;
  folders.scan("images/a.nii").scan("labels/a.nii").scan("masks/a.nii").scan("images/b_image.nii");
  folders.scan("labels/b_label.nii").scan("other/b.nii");
  const FoundSet set = find_in(folders).set;
  REQUIRE(set.subjects.size() == 3);
  CHECK(row_of(set.subjects[0]) == "a images/a.nii labels/a.nii masks/a.nii - a -");
  CHECK(row_of(set.subjects[1]) == "image_b images/b_image.nii labels/b_label.nii - - image_b -");
  CHECK(row_of(set.subjects[2]) == "other_b other/b.nii - - - other_b -");
}

TEST_CASE("a layout is forced by name; unknown names and folders without scans are refused in one line") {
  ScanFolder folder;
  folder.scan("imagesTr/a.nii").scan("labelsTr/a.nii").text(".hidden/b.nii", "");
  CHECK(find_in(folder).layout == "nnunet");
  CHECK(find_in(folder, "flat").set.subjects.front().labels == "labelsTr/a.nii");
  CHECK(error_text([&] { find_in(folder, "dicom"); }) ==
        "--layout: 'dicom', have: learn2reg, acdc, bids, oasis, nnunet, series, flat");
  ScanFolder empty;
  empty.text("readme.txt", "");
  CHECK(error_text([&] {
          find_in(empty);
        }).ends_with(": no volume (.nii, .nii.gz, .hdr with .img or .img.gz, .mgz, .mgh, or .npz) in it, of 1 files"));
  CHECK(error_text([&] { ScanTree::read(empty.path() / "nowhere"); }).ends_with("nowhere: not a folder"));
}

TEST_CASE("a folder that cannot be listed is named, not the one that holds it") {
  ScanFolder folder;
  folder.scan("open/a.nii").scan("closed/deep/b.nii");
  const std::filesystem::path closed = folder.path() / "closed/deep";
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(closed, std::filesystem::perms(0));
  const test::Attempt done = test::attempt([&] {
    if (::geteuid() == 0 && ::seteuid(65534) != 0) {  // nothing is closed to root
      throw std::runtime_error("cannot become another user");
    }
    ScanTree::read(folder.path());
  });
  std::filesystem::permissions(closed, std::filesystem::perms(0755));
  CHECK(done.exit_code == 3);
  CHECK(done.text == str(closed.string(), ": cannot be listed: Permission denied"));
}

TEST_CASE("mgz files are scans of every layout") {
  ScanFolder folder;
  for (const char* subject : {"OAS1_0001_MR1", "OAS1_0002_MR1"}) {
    folder.text(str(subject, "/norm.mgz"), "").text(str(subject, "/aseg.mgz"), "");
  }
  const Found found = find_in(folder);
  CHECK(found.layout == "oasis");
  REQUIRE(found.set.subjects.size() == 2);
  CHECK(found.set.subjects[0].image == "OAS1_0001_MR1/norm.mgz");
  CHECK(found.set.subjects[0].labels == "OAS1_0001_MR1/aseg.mgz");
}
