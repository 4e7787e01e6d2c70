// A tiny data set made by code, a recipe for it and an observer that records and can ask to leave: what the tests of
// the train layer share.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "regatta/train/trainer.hpp"

namespace regatta::test {

/// 16x32x16 voxels, an atlas and 4 subjects (blobs moved by a few voxels, two labels), 3 training and 1 validation pair
/// atlas -> subject. @return the archive's path
std::filesystem::path write_scene(const std::filesystem::path& folder);

/// Six subjects of 8 x 6 x 5 voxels with modalities a and b, labels, masks and two key-points each; all ordered pairs.
std::filesystem::path write_rich_scene(const std::filesystem::path& folder);

/// Three scans without key-points of their own: the pairs train o0>o1 and val o0>o2 have one and two, o1>o2 has none.
std::filesystem::path write_scene_of_own_keypoints(const std::filesystem::path& folder);

/// Five subjects of 16 x 32 x 16 voxels, only a and b with labels, a mask and a key-point, e an atlas; splits of pairs
/// moving-fixed: all a-b; some a-b, a-c; fixed c-a; none c-d; from_atlas e-a; to_atlas e-c; hub a-d;
/// train2 e-a, e-b, val2 e-d. c is of b's group. @return "partial.h5"
std::filesystem::path write_partial_scene(const std::filesystem::path& folder);

/// The same as `write_scene` as float32, with a NaN in the image of one subject (1..4). @return "spoilt.h5"
std::filesystem::path write_spoilt_scene(const std::filesystem::path& folder, int subject);

/// A network of 4 to 8 features, NCC 5 + smoothness, 12 steps, validation each epoch, one thread.
Recipe scene_recipe(const std::filesystem::path& archive);

class Recorder final : public TrainObserver {
 public:
  void on_start(const StartNote& note) override { start = note; }
  void on_validation(const ValidationNote& note) override { validations.push_back(note); }
  void on_checkpoint(const CheckpointNote& note) override { checkpoints.push_back(note); }

  bool should_leave() override { return leave && leave(); }

  StartNote start;
  std::vector<ValidationNote> validations;
  std::vector<CheckpointNote> checkpoints;
  std::function<bool()> leave;
};

/// Leaves when asked for the n-th time (from 1).
std::function<bool()> leave_at(int question);

/// One attempt in a folder, with the recipe resolved and settled as `regatta train` does.
TrainOutcome train_in(const std::filesystem::path& folder, const Recipe& recipe, Recorder& recorder);
TrainOutcome train_in(const std::filesystem::path& folder, const Recipe& recipe);

/// The file's bytes.
std::string bytes_of(const std::filesystem::path& path);

/// The newest checkpoint's bytes.
std::string newest_checkpoint_bytes(const std::filesystem::path& folder);

}  // namespace regatta::test
