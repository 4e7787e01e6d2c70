#include "unit/train/scene.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <span>

#include "regatta/base/files.hpp"
#include "regatta/base/random.hpp"
#include "regatta/train/run_folder.hpp"
#include "regatta/volume/archive_writer.hpp"

namespace regatta::test {
namespace {

constexpr Shape3 kShape = {16, 32, 16};
constexpr int kSubjects = 5;  ///< the first is the atlas

struct Scene {
  std::vector<std::uint8_t> image;
  std::vector<std::uint8_t> labels;
};

/// Two blobs, shifted differently in each subject, over a little noise.
Scene draw_subject(int subject) {
  const CounterRng rng(7, RandomPurpose::kSynthetic);
  const auto shift = [&](std::uint32_t axis) {
    return subject == 0 ? 0.0 : 4.0 * rng.uniform(static_cast<std::uint64_t>(subject), axis) - 2.0;
  };
  const double dd = shift(0);
  const double dh = shift(1);
  const double dw = shift(2);
  Scene scene;
  std::uint64_t voxel = 0;
  for (std::int64_t d = 0; d < kShape[0]; ++d) {
    for (std::int64_t h = 0; h < kShape[1]; ++h) {
      for (std::int64_t w = 0; w < kShape[2]; ++w) {
        const auto squared = [&](double cd, double ch, double cw) {
          return std::pow(static_cast<double>(d) - cd - dd, 2) + std::pow(static_cast<double>(h) - ch - dh, 2) +
                 std::pow(static_cast<double>(w) - cw - dw, 2);
        };
        const double first = squared(7.5, 10.0, 7.5);
        const double second = squared(7.5, 21.0, 8.5);
        const double noise = 0.02 * rng.uniform(1000 + voxel++, static_cast<std::uint32_t>(subject));
        const double value = 0.9 * std::exp(-first / 18.0) + 0.6 * std::exp(-second / 10.0) + noise;
        scene.image.push_back(static_cast<std::uint8_t>(std::lround(255.0 * std::min(value, 1.0))));
        scene.labels.push_back(first < 20.0 ? 1 : (second < 12.0 ? 2 : 0));
      }
    }
  }
  return scene;
}

/// @param spoilt  subject with a NaN in a float32 archive; -1: none, in an archive of uint8
void write_archive(const std::filesystem::path& path, int spoilt) {
  ArchiveHeader header;
  header.name = "scene";
  header.shape = kShape;
  header.subjects = kSubjects;
  header.label_ids = {0, 17, 53};
  header.type = spoilt < 0 ? VoxelType::kUint8 : VoxelType::kFloat32;
  ArchiveWriter writer(path, header);
  std::vector<ArchivePair> pairs;
  for (int i = 0; i < kSubjects; ++i) {
    ArchiveSubject subject;
    subject.id = i == 0 ? "atlas" : str("s", i);
    subject.split = i == 0 ? "atlas" : (i == kSubjects - 1 ? "val" : "train");
    subject.affine = identity_affine();
    subject.original_affine = identity_affine();
    subject.original_shape = kShape;
    const Scene scene = draw_subject(i);
    if (spoilt < 0) {
      writer.add(subject, std::as_bytes(std::span(scene.image)), scene.labels);
    } else {
      std::vector<float> values;
      for (const std::uint8_t value : scene.image) {
        values.push_back(static_cast<float>(value) / 255.0F);
      }
      values[values.size() / 2] = i == spoilt ? std::numeric_limits<float>::quiet_NaN() : 0.5F;
      writer.add(subject, std::as_bytes(std::span(values)), scene.labels);
    }
    if (i > 0) {
      pairs.push_back({subject.split, 0, i});
    }
  }
  writer.set_pairs(pairs);
  writer.finish();
}

}  // namespace

std::filesystem::path write_scene(const std::filesystem::path& folder) {
  write_archive(folder / "scene.h5", -1);
  return folder / "scene.h5";
}

std::filesystem::path write_spoilt_scene(const std::filesystem::path& folder, int subject) {
  write_archive(folder / "spoilt.h5", subject);
  return folder / "spoilt.h5";
}

std::filesystem::path write_rich_scene(const std::filesystem::path& folder) {
  constexpr Shape3 kSmall = {8, 6, 5};
  constexpr std::size_t kVoxels = 8 * 6 * 5;
  constexpr int kCount = 6;
  ArchiveHeader header;
  header.name = "rich";
  header.shape = kSmall;
  header.spacing = {1.0, 2.0, 3.0};
  header.subjects = kCount;
  header.modalities = {"a", "b"};
  header.label_ids = {0, 5};
  header.masks = true;
  ArchiveWriter writer(folder / "rich.h5", header);
  const CounterRng rng(9, RandomPurpose::kSynthetic);
  std::vector<ArchivePair> pairs;
  for (int i = 0; i < kCount; ++i) {
    std::vector<std::uint8_t> images;
    for (std::uint64_t voxel = 0; voxel < 2 * kVoxels; ++voxel) {
      const std::uint64_t most = voxel < kVoxels ? 100 : 200;
      images.push_back(voxel % kVoxels == 0
                           ? static_cast<std::uint8_t>(most)
                           : static_cast<std::uint8_t>(rng.below(most, voxel, static_cast<std::uint32_t>(i))));
    }
    std::vector<std::uint8_t> labels(kVoxels, 0);
    std::vector<std::uint8_t> mask(kVoxels, 0);
    for (std::size_t voxel = 0; voxel < kVoxels; ++voxel) {
      labels[voxel] = images[voxel] > 50 ? 1 : 0;
      mask[voxel] = voxel < kVoxels / 2 ? 1 : 0;
    }
    ArchiveSubject subject;
    subject.id = str("r", i);
    subject.split = "train";
    subject.intensity = {{}, {}};
    subject.keypoints = {{1, 1, 1}, {2.5, static_cast<double>(i), 3}};
    subject.affine = {1.0 + 0.5 * i, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1};  // as after an alignment
    writer.add(subject, std::as_bytes(std::span(images)), labels, mask);
    for (int j = 0; j < kCount; ++j) {
      if (i != j) {
        pairs.push_back({"train", i, j});
      }
    }
  }
  writer.set_pairs(pairs);
  writer.finish();
  return folder / "rich.h5";
}

std::filesystem::path write_scene_of_own_keypoints(const std::filesystem::path& folder) {
  ArchiveHeader header;
  header.name = "own";
  header.shape = kShape;
  header.subjects = 3;
  ArchiveWriter writer(folder / "own.h5", header);
  for (int i = 0; i < 3; ++i) {
    const Scene scene = draw_subject(i);
    ArchiveSubject subject;
    subject.id = str("o", i);
    subject.split = "train";
    subject.original_shape = kShape;
    writer.add(subject, std::as_bytes(std::span(scene.image)));
  }
  const auto one = std::make_shared<const PairKeypoints>(PairKeypoints{{{1, 2, 1.5}}, {{4, 5, 6}}});
  const auto other =
      std::make_shared<const PairKeypoints>(PairKeypoints{{{2, 2, 2}, {3, 3, 3}}, {{2, 2, 3}, {3, 3, 4}}});
  writer.set_pairs({{"train", 0, 1, one}, {"train", 1, 2}, {"val", 0, 2, other}});
  writer.finish();
  return folder / "own.h5";
}

std::filesystem::path write_partial_scene(const std::filesystem::path& folder) {
  constexpr std::array<const char*, 5> kIds = {"a", "b", "c", "d", "e"};
  ArchiveHeader header;
  header.name = "partial";
  header.shape = kShape;
  header.subjects = static_cast<std::int64_t>(kIds.size());
  header.label_ids = {0, 17, 53};
  header.masks = true;
  ArchiveWriter writer(folder / "partial.h5", header);
  for (std::size_t i = 0; i < kIds.size(); ++i) {
    const bool has_all = i < 2;
    const Scene scene = draw_subject(static_cast<int>(i));
    ArchiveSubject subject;
    subject.id = kIds[i];
    subject.split = i == 4 ? "atlas" : "train";
    subject.group = i == 2 ? "b" : subject.id;
    subject.original_shape = kShape;
    if (has_all) {
      subject.keypoints = {{3, 4, 5}};
    }
    const std::vector<std::uint8_t> mask(scene.image.size(), 0);
    writer.add(subject, std::as_bytes(std::span(scene.image)), has_all ? scene.labels : std::vector<std::uint8_t>(),
               has_all ? mask : std::vector<std::uint8_t>());
  }
  writer.set_pairs({{"all", 0, 1},
                    {"some", 0, 1},
                    {"some", 0, 2},
                    {"fixed", 2, 0},
                    {"none", 2, 3},
                    {"from_atlas", 4, 0},
                    {"to_atlas", 4, 2},
                    {"hub", 0, 3},
                    {"train2", 4, 0},
                    {"train2", 4, 1},
                    {"val2", 4, 3}});
  writer.finish();
  return folder / "partial.h5";
}

Recipe scene_recipe(const std::filesystem::path& archive) {
  const char* text = R"({
    "data": {"archive": ""},
    "model": {"name": "voxelmorph-custom", "options": {"encoder": [4, 8, 8, 8], "decoder": [8, 8, 8, 8, 8, 4, 4]}},
    "losses": {"ncc": {"weight": 1, "options": {"window": 5}}, "grad": {"weight": 0.5}},
    "optim": {"lr": 0.004},
    "train": {"steps": 12, "seed": 3, "flip": true},
    "checkpoint": {"every_s": 0, "every_steps": 2},
    "run": {"device": "cpu", "threads": 1}})";
  Json value = parse_json(text, "scene");
  value["data"]["archive"] = archive.string();
  return recipe_from_json(value, "scene");
}

std::function<bool()> leave_at(int question) {
  auto asked = std::make_shared<int>(0);
  return [asked, question] { return ++*asked >= question; };
}

TrainOutcome train_in(const std::filesystem::path& folder, const Recipe& recipe, Recorder& recorder) {
  RecipeResolver resolver;
  TrainSetup setup;
  setup.files = {folder};
  setup.resolved = settle_recipe(setup.files, recipe, resolver, Existing::kContinue);
  setup.attempt = next_attempt(setup.files);
  const Archive& archive = resolver.archive(recipe.data.archive);
  return Trainer(std::move(setup), recorder).run(archive);
}

TrainOutcome train_in(const std::filesystem::path& folder, const Recipe& recipe) {
  Recorder recorder;
  return train_in(folder, recipe, recorder);
}

std::string bytes_of(const std::filesystem::path& path) {
  return read_file(path);
}

std::string newest_checkpoint_bytes(const std::filesystem::path& folder) {
  return bytes_of(list_checkpoints({folder}).at(0).path);
}

}  // namespace regatta::test
