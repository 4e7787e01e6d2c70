// Volumes on the device and batches gathered from them.
#include <ATen/ops/flip.h>

#include "regatta/base/files.hpp"
#include "regatta/train/dataset.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "train/data_place.hpp"
#include "train/split_facts.hpp"
#include "train/voxel_axes.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

struct Loaded {
  Loaded()
      : archive(Archive::open(test::write_scene(folder.path()))),
        data(Dataset::load(archive, {{"train"}, "", ""}, at::kCPU)) {}

  test::TemporaryFolder folder;
  Archive archive;
  Dataset data;
};

TEST_CASE("only the volumes that the chosen splits' pairs name are loaded, and their bytes are foreseen") {
  const Loaded loaded;
  CHECK(loaded.data.volumes() == 4);  // atlas and three training subjects; not the validation subject
  CHECK(loaded.data.bytes() == 4 * 16 * 32 * 16 * 2);
  CHECK(dataset_bytes(loaded.archive, {{"train"}, "", ""}) == loaded.data.bytes());
  CHECK(dataset_bytes(loaded.archive, {{"train", "val"}, "", ""}) == 5 * 16 * 32 * 16 * 2);
}

TEST_CASE("a batch holds the pairs in their order as float32 in 0..1, with their labels") {
  const Loaded loaded;
  const auto& pairs = loaded.data.pairs("train");
  const PairState state = loaded.data.gather({pairs[2], pairs[0]});
  CHECK(state.moving.sizes() == at::IntArrayRef({2, 1, 16, 32, 16}));
  CHECK(state.moving.scalar_type() == at::kFloat);
  CHECK(state.fixed.max().item<float>() <= 1.0F);
  CHECK(state.fixed.max().item<float>() > 0.5F);
  CHECK(state.moving[0].equal(state.moving[1]));  // the atlas
  std::vector<std::uint8_t> voxels(16 * 32 * 16);
  loaded.archive.read_image(pairs[2].fixed, std::as_writable_bytes(std::span(voxels)));
  CHECK(state.fixed[0][0][3][20][9].item<float>() == Approx(voxels[(3 * 32 + 20) * 16 + 9] / 255.0));
  CHECK(state.fixed_labels.sizes() == state.fixed.sizes());
  CHECK(state.label_count == 3);
  CHECK(loaded.data.pair_text(pairs[0]) == "moving 'atlas', fixed 's1'");
}

TEST_CASE(
    "a float32 archive is looked at for values outside [0, 1], pair by pair, where it is held and where streamed") {
  const test::TemporaryFolder folder;
  const Archive archive = Archive::open(test::write_spoilt_scene(folder.path(), 2));
  for (const std::int64_t held : {0, 3}) {
    const Dataset data = Dataset::load(archive, {{"train"}, "", ""}, at::kCPU, held);
    const auto& pairs = data.pairs("train");  // of s1, s2, s3
    CHECK(data.gather({pairs[0]}).in_unit_range);
    CHECK_FALSE(data.gather({pairs[1]}).in_unit_range);
    CHECK(data.gather({pairs[2]}).in_unit_range);
    CHECK((held != 0 || !data.in_unit_range()));
  }
  const Dataset sound = Dataset::load(archive, {{"val"}, "", ""}, at::kCPU);
  CHECK(sound.in_unit_range());
  const Loaded bytes;
  CHECK(bytes.data.in_unit_range());
  CHECK(bytes.data.gather({bytes.data.pairs("train")[0]}).in_unit_range);
}

TEST_CASE("mirroring turns fixed, moving and labels of one pair together") {
  const Loaded loaded;
  const auto& pairs = loaded.data.pairs("train");
  const PairState plain = loaded.data.gather({pairs[0], pairs[1]});
  const PairState mirrored = loaded.data.gather({pairs[0], pairs[1]}, {{true, false, true}, {false, false, false}});
  CHECK(mirrored.moving[0].equal(at::flip(plain.moving[0], {1, 3})));
  CHECK(mirrored.fixed[0].equal(at::flip(plain.fixed[0], {1, 3})));
  CHECK(mirrored.fixed_labels[0].equal(at::flip(plain.fixed_labels[0], {1, 3})));
  CHECK(mirrored.moving[1].equal(plain.moving[1]));
  CHECK_FALSE(mirrored.fixed[0].equal(plain.fixed[0]));
}

void check_equal(const at::Tensor& one, const at::Tensor& other) {
  REQUIRE(one.defined() == other.defined());
  CHECK((!one.defined() || one.equal(other)));
}

void check_equal(const PairState& one, const PairState& other) {
  check_equal(one.moving, other.moving);
  check_equal(one.fixed, other.fixed);
  check_equal(one.moving_labels, other.moving_labels);
  check_equal(one.fixed_labels, other.fixed_labels);
  check_equal(one.moving_mask, other.moving_mask);
  check_equal(one.fixed_mask, other.fixed_mask);
  check_equal(one.moving_keypoints, other.moving_keypoints);
  check_equal(one.fixed_keypoints, other.fixed_keypoints);
}

TEST_CASE("voxel axes keep lengths and angles, drop the rotation and follow mirrored voxels") {
  const Affine turned = {0, -2, 0, 7, 1.5, 0, 0, 8, 0, 0, 3, 9, 0, 0, 0, 1};
  CHECK(voxel_axes(turned) == axes_of_spacing({1.5, 2.0, 3.0}));
  const Affine sheared = {1.5, 0.2, 0.1, 0, 0.1, 2, 0.3, 0, 0.05, 0.4, 1.2, 0, 0, 0, 0, 1};
  for (const bool flip : {false, true}) {
    const VoxelAxes axes = voxel_axes(sheared, {flip, false, false});
    const Point3 step = {1.0, -2.0, 0.5};
    const Point3 mm = map_vector(sheared, {flip ? -step[0] : step[0], step[1], step[2]});
    double squares = 0.0;
    for (std::size_t row = 0; row < 3; ++row) {
      const double along = axes[3 * row] * step[0] + axes[3 * row + 1] * step[1] + axes[3 * row + 2] * step[2];
      squares += along * along;
    }
    CHECK(squares == Approx(mm[0] * mm[0] + mm[1] * mm[1] + mm[2] * mm[2]).epsilon(1e-12));
  }
}

TEST_CASE("masks, key-points and modalities reach a batch, mirrored with the images") {
  const test::TemporaryFolder folder;
  const Archive archive = Archive::open(test::write_rich_scene(folder.path()));
  const Dataset data = Dataset::load(archive, {{"train"}, "a", "b"}, at::kCPU);
  const ArchivePair pair = data.pairs("train").at(0);
  const PairState plain = data.gather({pair});
  const PairState mirrored = data.gather({pair}, {{true, false, false}});
  CHECK_FALSE(plain.moving.equal(plain.fixed));
  CHECK(plain.fixed.max().item<float>() == Approx(200.0 / 255.0));  // modality b is brighter
  CHECK(plain.moving.max().item<float>() == Approx(100.0 / 255.0));
  CHECK(plain.fixed_mask.sum().item<std::int64_t>() == 4 * 6 * 5);
  CHECK(mirrored.fixed_mask.equal(at::flip(plain.fixed_mask, {2})));
  CHECK(plain.moving_axes_mm == axes_of_spacing({1.0, 2.0, 3.0}));  // each scan's own, not the archive's
  CHECK(plain.fixed_axes_mm == axes_of_spacing({1.5, 2.0, 3.0}));
  REQUIRE(plain.fixed_keypoints.sizes() == at::IntArrayRef({2, 3}));
  CHECK(plain.fixed_keypoints[1][0].item<float>() == 2.5F);
  CHECK(mirrored.fixed_keypoints[1][0].item<float>() == 7.0F - 2.5F);
  CHECK(mirrored.fixed_keypoints[1][1].item<float>() == plain.fixed_keypoints[1][1].item<float>());
  CHECK_FALSE(data.gather({pair, pair}).fixed_keypoints.defined());
  CHECK(subject_bytes(archive, {{"train"}, "a", "b"}) == 8 * 6 * 5 * 4);
  CHECK(subject_bytes(archive, {{"train"}, "a", ""}) == 8 * 6 * 5 * 3);
  CHECK_THROWS_WITH(Dataset::load(archive, {{"train"}, "c", "b"}, at::kCPU),
                    Catch::Contains("/data/moving_modality: 'c'") && Catch::Contains("has: a, b"));
}

TEST_CASE("key-points of a pair alone reach its batch, the loss and the split's facts, not those of its scans") {
  const test::TemporaryFolder folder;
  const Archive archive = Archive::open(test::write_scene_of_own_keypoints(folder.path()));
  const Dataset data = Dataset::load(archive, {{"train", "val"}, "", ""}, at::kCPU);
  const auto& pairs = data.pairs("train");
  const PairState own = data.gather({pairs.at(0)});
  REQUIRE(own.fixed_keypoints.sizes() == at::IntArrayRef({1, 3}));
  CHECK(own.fixed_keypoints[0][0].item<float>() == 4.0F);
  CHECK(own.moving_keypoints[0][2].item<float>() == 1.5F);
  CHECK(data.gather({pairs.at(0)}, {{false, false, true}}).moving_keypoints[0][2].item<float>() ==
        static_cast<float>(archive.shape()[2] - 1) - 1.5F);
  CHECK_FALSE(data.gather({pairs.at(1)}).fixed_keypoints.defined());
  CHECK(split_facts(archive, "train", "/data/train_split").keypoints == 1);
  CHECK(split_facts(archive, "val", "/data/val_split").keypoints == 1);
}

TEST_CASE("in a batch a scan without a mask counts everywhere, and one without labels leaves the batch without") {
  const test::TemporaryFolder folder;
  const Archive archive = Archive::open(test::write_partial_scene(folder.path()));
  const Dataset data = Dataset::load(archive, {{"some", "none"}, "", ""}, at::kCPU);
  const auto& some = data.pairs("some");  // a-b, a-c; c has neither
  const PairState both = data.gather({some[0], some[1]});
  REQUIRE(both.fixed_mask.sizes() == both.fixed.sizes());
  CHECK(both.fixed_mask[0].sum().item<std::int64_t>() == 0);
  CHECK(both.fixed_mask[1].min().item<std::int64_t>() == 1);
  CHECK(both.moving_mask.sum().item<std::int64_t>() == 0);
  CHECK_FALSE(both.fixed_labels.defined());
  CHECK(data.gather({some[0]}).fixed_labels.defined());
  CHECK(data.gather({some[0]}).fixed_mask.sum().item<std::int64_t>() == 0);  // the archive's own is as it was
  CHECK_FALSE(data.gather(data.pairs("none")).fixed_mask.defined());
}

TEST_CASE("volumes that take turns give the bits of those that stay, with and without a word in advance") {
  const test::TemporaryFolder folder;
  const Archive archive = Archive::open(test::write_rich_scene(folder.path()));
  const DatasetParts parts = {{"train"}, "a", "b"};
  const Dataset resident = Dataset::load(archive, parts, at::kCPU);
  const Dataset streamed = Dataset::load(archive, parts, at::kCPU, 4);
  CHECK(streamed.is_streamed());
  CHECK_FALSE(resident.is_streamed());
  CHECK(streamed.bytes() == 4 * subject_bytes(archive, parts));
  const auto& pairs = resident.pairs("train");
  REQUIRE(pairs.size() == 30);
  const bool announced = GENERATE(false, true);
  for (std::size_t round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const ArchivePair& pair = pairs[(i * 7 + round) % pairs.size()];
      const PairState batch = streamed.gather({pair});
      if (announced) {
        streamed.prefetch({pairs[((i + 1) * 7 + round) % pairs.size()]});
      }
      check_equal(batch, resident.gather({pair}));
    }
  }
}

TEST_CASE("a damaged volume is named when its turn comes") {
  const test::TemporaryFolder folder;
  const auto path = test::write_scene(folder.path());
  std::vector<std::uint8_t> voxels(16 * 32 * 16);
  {
    const Archive archive = Archive::open(path);
    archive.read_image(2, std::as_writable_bytes(std::span(voxels)));
  }
  std::string bytes = test::bytes_of(path);
  const std::size_t at = bytes.find(std::string(reinterpret_cast<const char*>(voxels.data()), 4096));
  REQUIRE(at != std::string::npos);
  bytes[at + 11] = static_cast<char>(bytes[at + 11] ^ 1);
  write_file_atomically(path, bytes);
  const Archive archive = Archive::open(path);
  const Dataset streamed = Dataset::load(archive, {{"train"}, "", ""}, at::kCPU, 3);
  streamed.gather({{"train", 0, 1}});
  CHECK_THROWS_WITH(streamed.gather({{"train", 0, 2}}), Catch::Contains("image of 's2': checksum"));
  CHECK_THROWS_WITH(streamed.gather({{"train", 0, 1}}), Catch::Contains("image of 's2': checksum"));
}

TEST_CASE("whether all volumes stay on the device is decided by the room that the network leaves") {
  DataFacts data;
  data.resident_bytes = 1000;
  data.subject_bytes = 10;
  CHECK(subjects_to_hold(data, "auto", 1, 1000) == 0);
  CHECK(subjects_to_hold(data, "auto", 1, 999) == 99);
  CHECK(subjects_to_hold(data, "auto", 1, -5) == 4);
  CHECK(subjects_to_hold(data, "auto", 4, 100) == 16);
  CHECK(subjects_to_hold(data, "resident", 1, 0) == 0);
  CHECK(subjects_to_hold(data, "streamed", 2, 500) == 8);
}

}  // namespace
}  // namespace regatta
