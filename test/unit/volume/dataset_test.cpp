// The data set file: pairs of each rule, and one line for each thing that can be wrong in it.
#include "regatta/volume/dataset.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "files.hpp"
#include "regatta/base/text.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::error_text;

namespace {

Json five_subjects() {
  return parse_json(R"({"schema": 1, "name": "five", "subjects": [
    {"id": "atlas", "image": "a.nii.gz", "labels": "a_seg.nii.gz", "split": "atlas"},
    {"id": "p1", "image": "p1.nii"}, {"id": "p2", "image": "sub/p2.npz", "labels": "sub/p2.npz"},
    {"id": "p3", "image": "p3.nii"}, {"id": "v1", "image": "/abs/v1.nii", "split": "val"}],
    "pairs": {"rule": "atlas", "atlas": "atlas"}})",
                    "test");
}

std::string pairs_text(const DatasetFile& dataset) {
  std::vector<std::string> out;
  for (const ArchivePair& pair : dataset.pairs) {
    out.push_back(str(pair.split, ':', pair.moving, '>', pair.fixed));
  }
  return join(out, " ");
}

std::string refusal(const std::string& pointer, const Json& value) {
  Json json = five_subjects();
  json[Json::json_pointer(pointer)] = value;
  return error_text([&] { dataset_from_json(json, "data"); });
}

}  // namespace

TEST_CASE("paths that climb out of a folder behind a symbolic link lead to where they were written") {
  const test::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "real/deep/work");
  std::filesystem::create_directory_symlink(folder / "real/deep/work", folder / "work");
  const Json json = parse_json(R"({"schema": 1, "pairs": {"rule": "all"}, "subjects": [
    {"id": "a", "image": "../a.nii", "labels": "here.nii"}, {"id": "b", "image": "../../data/b.nii"}]})",
                               "test");
  const DatasetFile linked = dataset_from_json(json, folder / "work");
  const auto real = [](const std::string& path) { return std::filesystem::weakly_canonical(path); };
  CHECK(real(linked.subjects[0].files[0]) == real(folder / "real/deep/a.nii"));
  CHECK(real(linked.subjects[1].files[0]) == real(folder / "real/data/b.nii"));
  CHECK(real(linked.subjects[0].labels) == real(folder / "work/here.nii"));
  const DatasetFile direct = dataset_from_json(json, folder / "real/deep/work");
  CHECK(real(direct.subjects[0].files[0]) == real(folder / "real/deep/a.nii"));
}

TEST_CASE("an atlas is warped onto every other subject of each split") {
  const DatasetFile dataset = dataset_from_json(five_subjects(), "data");
  CHECK(pairs_text(dataset) == "train:0>1 train:0>2 train:0>3 val:0>4");
  CHECK(dataset.subjects[2].files.front() == "data/sub/p2.npz");
  CHECK(dataset.subjects[4].files.front() == "/abs/v1.nii");
  CHECK(dataset.subjects[1].labels.empty());
}

TEST_CASE("all pairs are ordered and stay within their split") {
  Json json = five_subjects();
  json["pairs"] = {{"rule", "all"}};
  CHECK(pairs_text(dataset_from_json(json, "")) == "train:1>2 train:1>3 train:2>1 train:2>3 train:3>1 train:3>2");
}

TEST_CASE("random pairs are all different, depend on the seed alone, and end where there are no more") {
  Json json = five_subjects();
  for (int i = 0; i < 20; ++i) {
    json["subjects"].push_back({{"id", str("q", i)}, {"image", "q.nii"}});
  }
  json["pairs"] = {{"rule", "random"}, {"count", 100}, {"seed", 3}};
  const DatasetFile first = dataset_from_json(json, "");
  CHECK(pairs_text(first) == pairs_text(dataset_from_json(json, "")));
  REQUIRE(first.pairs.size() == 100);
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for (const ArchivePair& pair : first.pairs) {
    CHECK(pair.moving != pair.fixed);
    seen.insert({pair.moving, pair.fixed});
  }
  CHECK(seen.size() == 100);
  json["pairs"]["seed"] = 4;
  CHECK(pairs_text(first) != pairs_text(dataset_from_json(json, "")));
  json["pairs"]["count"] = 100000;
  CHECK(dataset_from_json(json, "").pairs.size() == 23 * 22);
}

TEST_CASE("a group lies in one split, and folds deal out whole groups") {
  Json json = parse_json(R"({"schema": 1, "subjects": [], "pairs": {"rule": "all"}, "folds": {"count": 3, "seed": 5}})",
                         "test");
  for (int i = 0; i < 12; ++i) {
    json["subjects"].push_back({{"id", str("s", i)},
                                {"image", "x.nii"},
                                {"group", str("g", i / 2)},
                                {"split", i < 8    ? "train"
                                          : i < 10 ? "val"
                                                   : "test"}});
  }
  const DatasetFile dataset = dataset_from_json(json, "");
  std::map<std::string, std::set<std::int64_t>> members;
  for (const ArchivePair& pair : dataset.pairs) {
    members[pair.split].insert({pair.moving, pair.fixed});
  }
  CHECK(members.size() == 9);  // train, val, test and two of each fold
  std::set<std::int64_t> validated;
  for (int fold = 0; fold < 3; ++fold) {
    const auto& train = members.at(str("train", fold));
    const auto& val = members.at(str("val", fold));
    CHECK(train.size() + val.size() == 10);
    for (const std::int64_t subject : val) {
      CHECK_FALSE(train.contains(subject));
      CHECK(val.contains(subject ^ 1));  // the group's other scan
      CHECK(validated.insert(subject).second);
    }
  }
  CHECK(validated.size() == 10);
  json["folds"]["count"] = 6;
  CHECK(error_text([&] { dataset_from_json(json, ""); }).find("/folds/count: 6, 2..5 allowed") == 0);
  json["folds"]["count"] = 0;
  json["subjects"][7]["split"] = "val";
  CHECK(error_text([&] { dataset_from_json(json, ""); }) ==
        "/subjects: group 'g3' is in split train ('s6') and in split val ('s7'): all scans of a group must be in one "
        "split");
}

TEST_CASE("folds: listed pairs of val alone do not replace the rule, an atlas is not dealt out") {
  Json json = parse_json(R"({"schema": 1, "subjects": [], "pairs": {"rule": "all", "explicit": [
    {"moving": "s6", "fixed": "s7", "split": "val"}, {"moving": "s7", "fixed": "s6", "split": "val"}]},
    "folds": {"count": 2}})",
                         "test");
  for (int i = 0; i < 8; ++i) {
    json["subjects"].push_back({{"id", str("s", i)}, {"image", "x.nii"}, {"split", i < 6 ? "train" : "val"}});
  }
  const auto count = [&](const std::string& split) {
    const DatasetFile dataset = dataset_from_json(json, "");
    return std::count_if(dataset.pairs.begin(), dataset.pairs.end(),
                         [&](const ArchivePair& pair) { return pair.split == split; });
  };
  CHECK(count("val") == 2);
  for (const char* split : {"train0", "val0", "train1", "val1"}) {
    CHECK(count(split) == 12);
  }
  json["pairs"] = {{"rule", "atlas"}, {"atlas", "s0"}};
  json["folds"]["count"] = 7;
  for (int fold = 0; fold < 7; ++fold) {
    CHECK(count(str("train", fold)) == 6);
    CHECK(count(str("val", fold)) == 1);
  }
}

TEST_CASE("the subject that others are aligned to keeps the duties of its split") {
  Json json = parse_json(R"({"schema": 1, "affine": "to_atlas", "affine_atlas": "t", "pairs": {"rule": "explicit",
    "explicit": [{"moving": "t", "fixed": "a", "split": "train"}, {"moving": "a", "fixed": "t", "split": "test"}]},
    "subjects": [{"id": "t", "image": "t.nii", "split": "test"}, {"id": "a", "image": "a.nii"}]})",
                         "test");
  CHECK(error_text([&] { dataset_from_json(json, ""); }).find("/pairs/explicit/0: a pair of split train of 't'") == 0);
  json["subjects"][0]["group"] = "one";
  json["subjects"][1]["group"] = "one";
  CHECK(error_text([&] { dataset_from_json(json, ""); }).find("/subjects: group 'one'") == 0);
}

TEST_CASE("several modalities: each subject has one file of each") {
  Json json = parse_json(R"({"schema": 1, "modalities": ["t1", "ct"], "subjects": [
    {"id": "a", "images": {"ct": "a_ct.nii", "t1": "a_t1.nii"}}, {"id": "b", "images": {"ct": "b.nii", "t1": "c.nii"}}],
    "preprocess": {"modalities": {"ct": {"kind": "window", "low": -1000, "high": 400}}}})",
                         "test");
  const DatasetFile dataset = dataset_from_json(json, "d");
  CHECK(dataset.subjects[0].files == std::vector<std::string>{"d/a_t1.nii", "d/a_ct.nii"});
  CHECK(intensity_of(dataset.options.preprocess, "ct").kind == "window");
  CHECK(intensity_of(dataset.options.preprocess, "t1").kind == "percentile");
  const auto text = [&] { return error_text([&] { dataset_from_json(json, "d"); }); };
  json["subjects"][1]["images"].erase("ct");
  CHECK(text() == "/subjects/1/images: 'ct' is missing");
  json["subjects"][1]["images"] = {{"t1", "x.nii"}, {"ct", "y.nii"}, {"pet", "z.nii"}};
  CHECK(text() == "/subjects/1/images/pet: /modalities has t1, ct");
  json["subjects"][1] = {{"id", "b"}, {"image", "x.nii"}};
  CHECK(text() == "/subjects/1/image: /modalities are named: give `images`");
}

TEST_CASE("explicit pairs may cross splits and keep their order") {
  Json json = five_subjects();
  json["pairs"] = parse_json(R"({"rule": "explicit", "explicit": [
    {"split": "val", "moving": "v1", "fixed": "p1"}, {"split": "train", "moving": "p3", "fixed": "p1"},
    {"split": "train", "moving": "p1", "fixed": "p3"}]})",
                             "test");
  CHECK(pairs_text(dataset_from_json(json, "")) == "train:3>1 train:1>3 val:4>1");
}

TEST_CASE("key-points of a pair belong to it in every split, and the other way round") {
  Json json = five_subjects();
  json["pairs"] = {{"rule", "all"},
                   {"explicit",
                    {{{"split", "train"},
                      {"moving", "p1"},
                      {"fixed", "p2"},
                      {"moving_keypoints", "kp/p1_a.csv"},
                      {"fixed_keypoints", "kp/p2_a.csv"}},
                     {{"split", "train"}, {"moving", "p2"}, {"fixed", "p1"}},
                     {{"split", "train"}, {"moving", "p2"}, {"fixed", "p3"}}}}};
  const DatasetFile dataset = dataset_from_json(json, "data");
  REQUIRE(dataset.pairs.size() == 3);
  CHECK(dataset.keypoint_files(dataset.pairs[0]) == PairKeypointFiles{"data/kp/p1_a.csv", "data/kp/p2_a.csv"});
  CHECK(dataset.keypoint_files(dataset.pairs[1]) == PairKeypointFiles{"data/kp/p2_a.csv", "data/kp/p1_a.csv"});
  CHECK_FALSE(dataset.keypoint_files(dataset.pairs[2]));
  json["pairs"]["explicit"].push_back(json["pairs"]["explicit"][0]);
  json["pairs"]["explicit"][3]["fixed_keypoints"] = "kp/other.csv";
  CHECK(error_text([&] { dataset_from_json(json, "data"); }) ==
        "/pairs/explicit/3: the same pair has other key-points further up in the list");
  json["pairs"]["explicit"][3].erase("fixed_keypoints");
  CHECK(error_text([&] { dataset_from_json(json, "data"); }) ==
        "/pairs/explicit/3: one of moving_keypoints and fixed_keypoints is missing");
}

TEST_CASE("under another rule, a split that is listed has the listed pairs alone") {
  Json json = five_subjects();
  json["pairs"]["explicit"] = parse_json(R"([{"split": "val", "moving": "p2", "fixed": "v1"}])", "test");
  CHECK(pairs_text(dataset_from_json(json, "")) == "train:0>1 train:0>2 train:0>3 val:2>4");
  json["pairs"]["rule"] = "all";
  CHECK(pairs_text(dataset_from_json(json, "")) ==
        "train:1>2 train:1>3 train:2>1 train:2>3 train:3>1 train:3>2 val:2>4");
  json["pairs"]["explicit"][0]["split"] = "train";
  CHECK(error_text([&] { dataset_from_json(json, ""); }).find("/pairs/explicit/0: a pair of split train of 'p2'") == 0);
  json["pairs"]["explicit"][0] = {{"split", "val"}, {"moving", "p1"}, {"fixed", "p2"}};
  CHECK(error_text([&] { dataset_from_json(json, ""); }).find("/pairs/explicit/0: a pair of split val of 'p1'") == 0);
  json["pairs"]["explicit"][0] = {{"split", "train"}, {"moving", "p2"}, {"fixed", "p1"}};
  CHECK(pairs_text(dataset_from_json(json, "")) == "train:2>1");
  json["pairs"]["explicit"][0]["fixed"] = "nobody";
  CHECK(error_text([&] { dataset_from_json(json, ""); }) == "/pairs/explicit/0/fixed: 'nobody' is no subject's id");
}

TEST_CASE("labels are merged, and others kept or made background") {
  Json json = five_subjects();
  json["labels"] = parse_json(R"({"merge": {"1": [10, 11], "2": [49]}})", "test");
  const DatasetFile keep = dataset_from_json(json, "");
  CHECK(keep.label(11) == 1);
  CHECK(keep.label(49) == 2);
  CHECK(keep.label(77) == 77);
  json["labels"]["others"] = "background";
  CHECK(dataset_from_json(json, "").label(77) == 0);
  json["labels"]["merge"]["3"] = {10};
  CHECK(error_text([&] { dataset_from_json(json, ""); }) ==
        "/labels/merge/3: label 10 is named twice in /labels/merge");
}

TEST_CASE("each fault of a data set file is refused by its JSON pointer") {
  CHECK(refusal("/subjects/2/id", "p1") == "/subjects/2/id: 'p1' is also the id of /subjects/1");
  CHECK(refusal("/subjects/2/id", "a b").find("/subjects/2/id: 'a b', 1..128 letters") == 0);
  CHECK(refusal("/subjects/2/split", "training").find("/subjects/2/split: ") == 0);
  CHECK(refusal("/subjects/2/image", "x.png")
            .find("/subjects/2/image: 'x.png', a volume file expected: .nii, .nii.gz, .hdr") == 0);
  CHECK(refusal("/subjects/2/imgae", "x.nii").find("imgae") != std::string::npos);
  CHECK(refusal("/subjects", Json::array()).find("/subjects: ") == 0);
  CHECK(refusal("/pairs/atlas", "nobody") == "/pairs/atlas: 'nobody' is no subject's id");
  CHECK(refusal("/pairs/rule", "some").find("/pairs/rule: ") == 0);
  CHECK(refusal("/pairs", {{"rule", "explicit"}}).find("/pairs: rule 'explicit' gives no pair") == 0);
  CHECK(refusal("/schema", 2).find("/schema: ") == 0);
  CHECK(refusal("/preprocess", {{"orientation", "XYZ"}}).find("/preprocess/orientation: 'XYZ'") == 0);
  CHECK(refusal("/npz_orientation", "RR").find("/npz_orientation: 'RR'") == 0);
}
