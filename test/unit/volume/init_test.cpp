// `regatta init`: what it chooses and says for little made-up folders, and that its files are read by what reads them.
#include "regatta/volume/init.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <nlohmann/json.hpp>

#include "files.hpp"
#include "regatta/base/text.hpp"
#include "regatta/config/job.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/volume/dataset.hpp"
#include "scan_folder.hpp"
#include "support/catch.hpp"
#include "volume/init/grid_choice.hpp"
#include "volume/init/splits.hpp"

using namespace regatta;
using regatta::test::error_text;
using regatta::test::ScanFolder;
using regatta::test::spaced;

namespace {

/// A block of 100 in zeros, file order. @param low, high  first and last voxel along every axis
std::vector<double> block(const Shape3& shape, std::int64_t low, std::int64_t high, double inside = 100.0,
                          double outside = 0.0) {
  std::vector<double> values;
  for (std::int64_t k = 0; k < shape[2]; ++k) {
    for (std::int64_t j = 0; j < shape[1]; ++j) {
      for (std::int64_t i = 0; i < shape[0]; ++i) {
        const bool in = std::min({i, j, k}) >= low && std::max({i, j, k}) <= high;
        values.push_back(in ? inside + static_cast<double>(i % 7) : outside);
      }
    }
  }
  return values;
}

InitOptions options_for(const ScanFolder& folder) {
  InitOptions options;
  options.folder = folder.path();
  options.output = folder.path() / "out";
  return options;
}

InitPlan plan_for(const ScanFolder& folder) {
  return plan_dataset(options_for(folder));
}

std::string note_with(const InitPlan& plan, const std::string& part) {
  for (const std::string& note : plan.notes) {
    if (note.find(part) != std::string::npos) {
      return note;
    }
  }
  return "";
}

FoundSet made_set(int subjects) {
  FoundSet set;
  for (int i = 0; i < subjects; ++i) {
    SubjectEntry subject;
    subject.id = str("s", i);
    subject.group = str("g", i / 2);
    subject.split = "";
    set.subjects.push_back(subject);
  }
  return set;
}

}  // namespace

TEST_CASE("an output folder that is not there yet, named relative to the working directory") {
  ScanFolder folder;
  for (const char* name : {"a", "b", "c"}) {
    folder.scan(str("brains/", name, ".nii.gz"), {16, 16, 16}, spaced(1, 1, 1), block({16, 16, 16}, 4, 12));
  }
  InitOptions options = options_for(folder);
  options.output = "not-there-yet";
  options.folder = folder.path();  // holds nothing but brains/
  const InitPlan plan = plan_dataset(options);
  CHECK(plan.name == folder.path().filename().string());
  const std::filesystem::path image = plan.dataset.at("subjects").at(0).at("image").get<std::string>();
  CHECK(std::filesystem::exists((std::filesystem::current_path() / options.output / image).lexically_normal()));
}

TEST_CASE("init of a brain set: the foreground is cropped, the atlas is moving, files are valid") {
  ScanFolder folder;
  const Shape3 shape = {64, 64, 64};
  for (const char* name : {"atlas", "p1", "p2", "p3", "p4", "p5", "p6"}) {
    folder.scan(str("brains/", name, ".nii.gz"), shape, spaced(1, 1, 1), block(shape, 20, 40));
    folder.scan(str("brains/", name, "_seg.nii.gz"), shape, spaced(1, 1, 1), block(shape, 20, 40, 1.0));
  }
  InitOptions options = options_for(folder);
  options.folder = folder.path() / "brains";
  const InitPlan plan = plan_dataset(options);
  CHECK(plan.shape == Shape3{32, 32, 32});
  CHECK(plan.dataset.at("preprocess").at("center") == "volume");
  CHECK(plan.dataset.at("preprocess").at("place") == "physical");  // all on one grid
  CHECK(plan.dataset.at("preprocess").at("intensity").at("kind") == "percentile");
  CHECK(plan.dataset.at("pairs").at("atlas") == "atlas");
  CHECK(plan.recipe.at("model").at("name") == "voxelmorph-2");
  CHECK(plan.recipe.at("validation").at("best") == "dice");
  CHECK(plan.split_subjects.at("atlas") == 1);
  CHECK(plan.split_subjects.at("val") >= 1);
  CHECK(plan.with_labels == 7);
  CHECK(plan.archive_bytes == std::uintmax_t{32 * 32 * 32} * 14);
  CHECK(plan.archive == "brains.h5");

  const auto paths = write_plan(plan, options);
  REQUIRE(paths.size() == 3);
  const DatasetFile dataset = read_dataset(paths[0]);
  CHECK(std::filesystem::exists(dataset.subjects[3].files.front()));
  CHECK(std::filesystem::exists(dataset.subjects[3].labels));
  const JobOptions job = read_job(paths[2]);
  validate(job);
  CHECK(job.objective.metric == "dice");
  CHECK(job.axes.size() == 2);
  CHECK(recipe_from_json(job.recipe, "recipe").model.name == "voxelmorph-2");
}

TEST_CASE("init says where scans lie: by their headers where these say something, else about their middles") {
  const Shape3 shape = {64, 64, 64};
  const auto place_of = [](const InitPlan& plan) {
    const std::string line =
        *std::find_if(plan.choices.begin(), plan.choices.end(), [](const auto& c) { return c.starts_with("place "); });
    CHECK(line.starts_with(str("place        ", plan.dataset.at("preprocess").at("place").get<std::string>(), ": ")));
    return line.substr(13);
  };
  const auto write = [&](const ScanFolder& folder, int i, int code, double shift) {
    test::NiftiMaker maker;
    maker.shape = shape;
    maker.sform_code = code;
    maker.affine = spaced(1, 1, 1);
    maker.affine[3] = shift;
    maker.values = block(shape, 20 - 2 * i, 40 - 2 * i);
    test::write_bytes(folder.path() / str("p", i, ".nii"), maker.bytes());
  };
  {
    ScanFolder folder;  // raw scans of different persons, each somewhere in its scanner
    for (int i = 0; i < 5; ++i) {
      write(folder, i, 1, 10.0 * i);
    }
    const InitPlan plan = plan_for(folder);
    CHECK(place_of(plan).starts_with("centre: scans of different persons or sessions"));
    CHECK(plan.dataset.at("preprocess").at("center") == "foreground");
    CHECK(plan.shape == Shape3{32, 32, 32});
  }
  {
    ScanFolder folder;  // in a template's space: the shape holds all of them about the first one's middle
    for (int i = 0; i < 5; ++i) {
      write(folder, i, 4, 2.0 * i);
    }
    const InitPlan plan = plan_for(folder);
    CHECK(place_of(plan) == "physical: all headers have code 4 (MNI 152)");
    CHECK(plan.dataset.at("preprocess").at("center") == "volume");
    CHECK(plan.shape[0] >= 32);  // foregrounds lie at 20 to 40 mm along D, reference scans' middles at 31 and more
    CHECK(plan.shape[1] == 48);  // down to 12 along H and W, about a middle at 31.5
    CHECK(plan.shape[2] == 48);
  }
  {
    ScanFolder folder;
    for (int i = 0; i < 5; ++i) {
      write(folder, i, i == 3 ? 0 : 1, 0.0);
    }
    CHECK(place_of(plan_for(folder)).starts_with("centre: not all files say"));
  }
  {
    ScanFolder folder;
    for (int i = 0; i < 5; ++i) {
      write(folder, i, 1 + i % 2, 0.0);
    }
    CHECK(place_of(plan_for(folder)) == "physical: the grids that pairs join coincide");
  }
  ScanFolder hearts;
  hearts.series("h1.nii.gz", 3, {20, 20, 6}).series("h2.nii.gz", 3, {24, 20, 6}).series("h3.nii.gz", 2, {20, 20, 7});
  CHECK(place_of(plan_for(hearts)) == "physical: pairs are within groups of one scanning session");
}

TEST_CASE("init replaces its files only with --force, and a release's own never") {
  ScanFolder folder;
  folder.scan("a.nii").scan("b.nii").scan("c.nii");
  InitOptions options = options_for(folder);
  const InitPlan plan = plan_dataset(options);
  write_plan(plan, options);
  CHECK(error_text([&] {
          write_plan(plan, options);
        }).ends_with("dataset.json: already exists; use --force to replace it"));
  options.replace = true;
  CHECK(write_plan(plan, options).size() == 3);
  options.output = folder.path();
  folder.text("dataset.json", R"({"channel_names": {"0": "T1"}})");
  CHECK(error_text([&] {
          write_plan(plan, options);
        }).ends_with("dataset.json: is the release's own file, never replaced; name another folder with --output"));
}

TEST_CASE("init of lungs: CT window, masks as labels, a cascade with key-points, whole volumes") {
  ScanFolder folder;
  const Shape3 shape = {32, 32, 48};
  Json list = {{"name", "Made Lungs"}, {"modality", {{"0", "CT"}}}};
  for (const char* name : {"a", "b", "c"}) {
    std::vector<std::string> images;
    for (const char* breath : {"_0000", "_0001"}) {
      images.push_back(str("imagesTr/", name, breath, ".nii.gz"));
      folder.scan(images.back(), shape, spaced(1.5, 1.5, 1.5), block(shape, 1, 30, 40.0, -1000.0));
      folder.scan(str("masksTr/", name, breath, ".nii.gz"), shape, spaced(1.5, 1.5, 1.5), block(shape, 5, 25, 1.0));
      folder.text(str("keypointsTr/", name, breath, ".csv"), "5,6,7\n8,9,10.5\n");
      list["training"].push_back({{"image", images.back()}});
    }
    list[std::string(name) == "c" ? "registration_val" : "training_paired_images"].push_back(
        {{"fixed", images[0]}, {"moving", images[1]}});
  }
  folder.text("Made_dataset.json", dump_line(list));
  const InitPlan plan = plan_for(folder);
  CHECK(plan.dataset.at("preprocess").at("intensity") ==
        Json({{"kind", "window"}, {"low", -1000.0}, {"high", 500.0}, {"within", "volume"}}));
  CHECK(plan.dataset.at("preprocess").at("center") == "volume");
  CHECK(plan.shape == Shape3{32, 32, 48});
  CHECK(plan.dataset.at("pairs").at("rule") == "explicit");
  CHECK(plan.split_pairs == std::map<std::string, std::int64_t>{{"train", 2}, {"val", 1}});
  CHECK(plan.with_labels == 6);
  CHECK(plan.dataset.at("subjects")[0].at("labels") == plan.dataset.at("subjects")[0].at("mask"));
  CHECK(plan.recipe.at("losses").at("ncc").at("options").at("masked") == true);
  CHECK(plan.recipe.at("losses").contains("keypoint"));
  CHECK(plan.recipe.at("validation").at("best") == "tre");
  CHECK(plan.job.at("name") == "made_lungs");

  folder.text("keypointsTr/a_0001.csv", "5,6,7\n");
  CHECK(note_with(plan_for(folder), "different lengths").find("a_0001 1 and a_0000 2") != std::string::npos);
}

TEST_CASE("init of hearts: through-plane spacing stays, sizes are multiples of 16") {
  ScanFolder folder;
  const Shape3 shape = {40, 50, 9};
  for (int i = 1; i <= 3; ++i) {
    const std::string name = str("patient00", i);
    folder.text(name + "/Info.cfg", "ED: 1\nES: 9\n");
    for (const char* frame : {"_frame01", "_frame09"}) {
      const Affine affine = spaced(1.4 + 0.1 * i, 1.4 + 0.1 * i, 10);
      folder.scan(str(name, "/", name, frame, ".nii.gz"), shape, affine, block(shape, 0, 60));
      folder.scan(str(name, "/", name, frame, "_gt.nii.gz"), shape, affine, block(shape, 2, 7, 1.0));
    }
  }
  const InitPlan plan = plan_for(folder);
  CHECK(plan.dataset.at("preprocess").at("spacing_mm") == Json({1.6, 1.6, 10.0}));
  CHECK(plan.shape == Shape3{48, 64, 16});  // 40 and 50 voxels of 1.7 mm are 43 and 54 of 1.6
  CHECK(plan.recipe.at("model").at("name") == "voxelmorph");
  CHECK(plan.split_subjects.at("val") == 2);
  CHECK(plan.split_pairs.at("val") == 2);
  CHECK(note_with(plan, "spacings differ").starts_with("spacings differ: 1.5..1.7 x 1.5..1.7 x 10 mm"));
}

TEST_CASE("init says what it did not understand") {
  ScanFolder folder;
  const Shape3 shape = {16, 16, 16};
  for (const char* name : {"a", "b", "c", "d"}) {
    folder.scan(str(name, ".nii"), shape, spaced(1, 1, 1), block(shape, 2, 12, static_cast<double>(name[0])));
  }
  folder.scan("twin_of_a.nii", shape, spaced(1, 1, 1), block(shape, 2, 12, static_cast<double>('a')));
  folder.scan("turned.nii", shape, {-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1}, block(shape, 1, 9));
  folder.scan("a_seg.nii", shape, spaced(1, 1, 1), block(shape, 2, 12, 1.0));
  folder.scan("b_seg.nii", shape, spaced(1, 1, 1), block(shape, 2, 12, 5.0));
  folder.scan("c_seg.nii", {8, 8, 8});
  folder.scan("z_seg.nii").text("notes.txt", "").text("broken.nii", "no volume");
  const InitPlan plan = plan_for(folder);
  CHECK(note_with(plan, "cannot be read").starts_with("subjects left out, their images cannot be read: 1 ("));
  CHECK(note_with(plan, "label maps left out") ==
        "label maps left out, they do not lie on their image's grid: 1 (c_seg.nii)");
  CHECK(note_with(plan, "orientations differ").starts_with("orientations differ: LPS 1 (turned), RAS 5 (a, ...)"));
  CHECK(note_with(plan, "spacings differ").starts_with("spacings differ: 1 x 1 x 1..2 mm"));
  CHECK(note_with(plan, "without labels") == "subjects without labels: 4 (c, d, turned, ...)");
  CHECK(note_with(plan, "that lack values").find("a lacks 8 9 10 11") != std::string::npos);
  CHECK(note_with(plan, "same file") == "scans that seem to be the same file: 1 (twin_of_a.nii as a.nii)");
  CHECK(note_with(plan, "belong to nothing") == "files that belong to nothing that was understood: 1 (z_seg.nii)");
  CHECK(note_with(plan, "other files") == "other files, not looked at: 1 (1 .txt)");
  CHECK_FALSE(plan.recipe.at("losses").contains("dice"));
}

TEST_CASE("init of a series: frames name themselves") {
  ScanFolder folder;
  folder.series("h1.nii.gz", 3, {20, 20, 6}).series("h2.nii.gz", 4, {20, 20, 6}).series("h3.nii.gz", 2, {20, 20, 6});
  const InitPlan plan = plan_for(folder);
  CHECK(plan.dataset.at("subjects")[1].at("frame") == 1);
  CHECK(plan.dataset.at("subjects")[1].at("group") == "h1");
  CHECK(plan.split_pairs.at("train") + plan.split_pairs.at("val") == 12);
}

TEST_CASE("scans and label maps that cannot be read are left out and named, and others are looked into") {
  ScanFolder folder;
  const Shape3 shape = {16, 16, 16};
  for (int i = 0; i < 6; ++i) {
    folder.scan(str("s", i, ".nii"), shape, spaced(1, 1, 1), block(shape, 4, 12));
    folder.scan(str("s", i, "_seg.nii"), shape, spaced(1, 1, 1), block(shape, 4, 12, 1.0));
  }
  std::vector<double> holes = block(shape, 4, 12);
  holes[7] = std::numeric_limits<double>::quiet_NaN();
  folder.scan("s1.nii", shape, spaced(1, 1, 1), holes);
  folder.scan("s2_seg.nii", shape, spaced(1, 1, 1), block(shape, 4, 12, 1.5));
  const InitPlan plan = plan_for(folder);
  CHECK(plan.dataset.at("subjects").size() == 5);
  CHECK(note_with(plan, "subjects left out, their images cannot be read: 1").find("s1.nii") != std::string::npos);
  CHECK(note_with(plan, "label maps left out, they cannot be read: 1").find("s2_seg.nii") != std::string::npos);
}

TEST_CASE("init ends where most scans cannot be read, and does without an atlas that cannot") {
  ScanFolder folder;
  const Shape3 shape = {16, 16, 16};
  std::vector<double> holes = block(shape, 4, 12);
  holes[7] = std::numeric_limits<double>::quiet_NaN();
  folder.scan("atlas.nii", shape, spaced(1, 1, 1), holes);
  for (const char* name : {"a.nii", "b.nii", "c.nii"}) {
    folder.scan(name, shape, spaced(1, 1, 1), block(shape, 4, 12));
  }
  CHECK_FALSE(note_with(plan_for(folder), "the atlas 'atlas' is among those left out").empty());
  for (int i = 0; i < 30; ++i) {
    folder.scan(str("s", i, ".nii"), shape, spaced(1, 1, 1), holes);
  }
  CHECK(error_text([&] { plan_for(folder); }).find("8 scans that were looked into cannot be read") == 0);
}

TEST_CASE("names that become the same id are told apart, a mixture of CT and others and unknown sides are noted") {
  ScanFolder folder;
  const Shape3 shape = {16, 16, 16};
  for (const char* name : {"a b.nii", "a_b.nii", "c.nii"}) {
    folder.scan(name, shape, spaced(1, 1, 1), block(shape, 4, 12));
  }
  folder.scan("ct.nii", shape, spaced(1, 1, 1), block(shape, 4, 12, 0.0, -1000.0));
  test::NiftiMaker maker;
  maker.shape = shape;
  maker.sform_code = 0;
  test::write_bytes(folder.path() / "d.nii", maker.bytes());
  test::write_bytes(folder.path() / "v.npz",
                    test::zip({{"vol.npy", test::npy(shape, block(shape, 4, 12), "<f8", true)}}, true));
  const InitPlan plan = plan_for(folder);
  CHECK(note_with(plan, "npz files among others are taken as RAS").find("1 (v.npz)") != std::string::npos);
  CHECK(plan.dataset.at("subjects").at(1).at("id") == "a_b-2");
  CHECK(note_with(plan, "'a_b' is another one's id too").find("a_b.nii: ") == 0);
  CHECK_FALSE(note_with(plan, "CT and other scans are mixed: 1 of 6").empty());
  CHECK(note_with(plan, "without sform and qform").find("d.nii") != std::string::npos);
}

TEST_CASE("two scans get a data set file: with them nothing is trained, trained weights register them") {
  ScanFolder folder;
  folder.scan("visit1.nii", {16, 16, 16}, spaced(1, 1, 1), block({16, 16, 16}, 4, 12));
  folder.scan("visit2.nii", {16, 16, 16}, spaced(1, 1, 1), block({16, 16, 16}, 5, 13));
  const InitPlan plan = plan_for(folder);
  CHECK(plan.split_subjects == std::map<std::string, std::int64_t>{{"test", 2}});
  CHECK(plan.split_pairs == std::map<std::string, std::int64_t>{{"test", 2}});
  CHECK(plan.recipe.is_null());
  const auto paths = write_plan(plan, options_for(folder));
  REQUIRE(paths.size() == 1);
  CHECK(read_dataset(paths[0]).options.preprocess.shape == std::vector<int>{16, 16, 16});
}

TEST_CASE("one scan and an atlas, and two scans of a release, are two scans too") {
  ScanFolder atlas;
  atlas.scan("atlas.nii", {16, 16, 16}, spaced(1, 1, 1), block({16, 16, 16}, 4, 12));
  atlas.scan("a.nii", {16, 16, 16}, spaced(1, 1, 1), block({16, 16, 16}, 5, 13));
  CHECK(plan_for(atlas).split_pairs == std::map<std::string, std::int64_t>{{"test", 1}});
  CHECK(plan_for(atlas).dataset.at("pairs").at("rule") == "atlas");
  ScanFolder release;
  for (const char* name : {"L_0001_0000", "L_0001_0001"}) {
    release.scan(str("imagesTr/", name, ".nii.gz"), {16, 16, 16}, spaced(1, 1, 1), block({16, 16, 16}, 4, 12));
  }
  release.text("L_dataset.json", R"({"registration_val": [{"fixed": "./imagesTr/L_0001_0000.nii.gz",
                                                           "moving": "./imagesTr/L_0001_0001.nii.gz"}]})");
  const InitPlan plan = plan_for(release);
  CHECK(plan.dataset.at("pairs").at("explicit") ==
        Json::array({{{"split", "test"}, {"moving", "L_0001_0001"}, {"fixed", "L_0001_0000"}}}));
}

TEST_CASE("init of a set whose pairs have key-points of their own names them with the pairs") {
  ScanFolder folder;
  const Shape3 shape = {32, 32, 32};
  Json list = {{"name", "Thorax"}};
  for (const char* patient : {"T_0000", "T_0001", "T_0002"}) {
    for (const char* scan : {"_0000", "_0001", "_0002"}) {
      folder.scan(str("imagesTr/", patient, scan, ".nii.gz"), shape, spaced(1, 1, 1),
                  block(shape, 1, 30, 40.0, -1000.0));
    }
    for (const char* pair : {"01", "02"}) {
      folder.text(str("keypoints", pair, "Tr/", patient, "_0000.csv"), "1,1,1\n2,2,2\n");
      folder.text(str("keypoints", pair, "Tr/", patient, "_000", pair[1], ".csv"), "1,1,1\n2,2,2\n");
      list[std::string(patient) == "T_0002" ? "registration_val" : "training_paired_images"].push_back(
          {{"fixed", str("./imagesTr/", patient, "_000", pair[1], ".nii.gz")},
           {"moving", str("./imagesTr/", patient, "_0000.nii.gz")}});
    }
  }
  folder.text("Thorax_dataset.json", dump_line(list));
  const InitPlan plan = plan_for(folder);
  CHECK(plan.dataset.at("pairs").at("explicit").at(1) ==
        Json({{"split", "train"},
              {"moving", "T_0000_0000"},
              {"fixed", "T_0000_0002"},
              {"moving_keypoints", "../keypoints02Tr/T_0000_0000.csv"},
              {"fixed_keypoints", "../keypoints02Tr/T_0000_0002.csv"}}));
  CHECK(plan.pairs_with_keypoints == 6);
  CHECK(plan.recipe.at("losses").contains("keypoint"));
  CHECK(plan.recipe.at("validation").at("best") == "tre");
  CHECK(note_with(plan, "belong to nothing").empty());
  folder.text("keypoints02Tr/T_0001_0002.csv", "1,1,1\n");
  CHECK(note_with(plan_for(folder), "different lengths").find("T_0001_0000 2 and T_0001_0002 1") != std::string::npos);
}

TEST_CASE("fewer than two scans are refused") {
  ScanFolder folder;
  folder.scan("a.nii");
  CHECK(error_text([&] { plan_for(folder); }).find(": 1 subjects found as layout flat, at least two expected") !=
        std::string::npos);
}

TEST_CASE("sizes that networks take") {
  CHECK(network_shape({160, 192, 224}) == Shape3{160, 192, 224});
  CHECK(network_shape({100, 100, 100}) == Shape3{112, 112, 112});
  CHECK(network_shape({176, 192, 224}) == Shape3{192, 192, 224});
  CHECK(network_shape({216, 256, 12}) == Shape3{224, 256, 16});
}

TEST_CASE("groups stay together, and further subjects do not move others between splits") {
  FoundSet few = made_set(60);
  draw_splits(few, 0.2);
  FoundSet more = made_set(100);
  draw_splits(more, 0.2);
  int val = 0;
  for (std::size_t i = 0; i < few.subjects.size(); ++i) {
    CHECK(few.subjects[i].split == more.subjects[i].split);
    CHECK(more.subjects[i].split == more.subjects[i ^ 1U].split);
  }
  for (const SubjectEntry& subject : more.subjects) {
    val += subject.split == "val" ? 1 : 0;
  }
  CHECK(val >= 8);
  CHECK(val <= 32);
}

TEST_CASE("never fewer subjects validate than --val asks for, rounded") {
  for (int count = 3; count <= 60; ++count) {
    for (const double val : {0.1, 0.2, 0.34, 0.5}) {
      FoundSet set = made_set(count);
      for (SubjectEntry& subject : set.subjects) {
        subject.group = subject.id;
      }
      draw_splits(set, val);
      const auto validating = std::count_if(set.subjects.begin(), set.subjects.end(),
                                            [](const SubjectEntry& subject) { return subject.split == "val"; });
      INFO(count << " subjects, --val " << val << ": " << validating);
      CHECK(validating >= std::min<std::int64_t>(std::llround(val * count), count - 2));
      CHECK(validating <= count - 2);
    }
  }
}

TEST_CASE("pairs: a ring validates, small sets keep enough to train on, pairs across splits are dropped") {
  FoundSet set = made_set(100);
  draw_splits(set, 0.2);
  const PairRule rule = choose_pairs(set);
  CHECK(rule.rule == "all");
  CHECK(static_cast<std::int64_t>(rule.explicit_pairs.size()) ==
        std::count_if(set.subjects.begin(), set.subjects.end(), [](const auto& s) { return s.split == "val"; }));

  FoundSet three = made_set(3);
  for (SubjectEntry& subject : three.subjects) {
    subject.group = subject.id;
  }
  draw_splits(three, 0.2);
  CHECK(choose_pairs(three).explicit_pairs.size() == 1);
  CHECK(three.notes.size() == 1);

  FoundSet two = made_set(4);
  two.subjects.erase(two.subjects.begin() + 1, two.subjects.begin() + 3);
  draw_splits(two, 0.2);
  CHECK(error_text([&] { choose_pairs(two); }) ==
        "no group of subjects is left to validate on: at least three expected, or two with an atlas or with pairs "
        "within them");

  FoundSet across = made_set(4);
  across.subjects[0].split = "val";
  across.subjects[2].split = "train";
  across.pairs = {{"", "s0", "s2"}, {"", "s0", "s1"}, {"", "s2", "s3"}};
  draw_splits(across, 0.0);
  CHECK(across.subjects[1].split == "val");  // the group of s0
  CHECK(choose_pairs(across).explicit_pairs.size() == 2);
  CHECK(across.notes.back() == "listed pairs left out, their subjects are in different splits: 1 (s0 onto s2)");
}
