// Volumes on the device and batches gathered from them.
#include <ATen/ops/flip.h>

#include "regatta/train/dataset.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

struct Loaded {
  Loaded()
      : archive(Archive::open(test::write_scene(folder.path()))), data(Dataset::load(archive, {"train"}, at::kCPU)) {}

  test::TemporaryFolder folder;
  Archive archive;
  Dataset data;
};

TEST_CASE("only the volumes that the chosen splits' pairs name are loaded, and their bytes are foreseen") {
  const Loaded loaded;
  CHECK(loaded.data.volumes() == 4);  // atlas and three training subjects; not the validation subject
  CHECK(loaded.data.bytes() == 4 * 16 * 32 * 16 * 2);
  CHECK(dataset_bytes(loaded.archive, {"train"}) == loaded.data.bytes());
  CHECK(dataset_bytes(loaded.archive, {"train", "val"}) == 5 * 16 * 32 * 16 * 2);
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

}  // namespace
}  // namespace regatta
