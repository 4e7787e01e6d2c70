// `regatta register --learn2reg NAME_dataset.json`: the pairs of a Learn2Reg task, and the folder that is submitted.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/registration_pair.hpp"

namespace regatta::app {

/// In which form a task takes fields.
enum class SubmissionForm {
  kNifti,   ///< since 2022: disp_FFFF_MMMM.nii.gz, (X, Y, Z, 3), voxels
  kHalfNpz  ///< 2021: disp_FFFF_MMMM.npz, float16, (3, X/2, Y/2, Z/2), voxels of the whole resolution
};

struct Learn2RegTask {
  std::string name;  ///< as the list says
  SubmissionForm form = SubmissionForm::kNifti;
  std::vector<PairFiles> pairs;
};

/// Reads the pairs of `registration_val` or `registration_test`, with labels and key-points where the release has them.
/// @param split   val or test
/// @param form    nifti, npz; auto: npz for a task named OASIS, as in 2021, else nifti
/// @param output  the folder that holds the pairs' own ones
/// @throws ConfigError naming list and row, also for scans whose names give no submission's names; DataError if the
/// list
///         cannot be read
Learn2RegTask read_learn2reg_task(const std::filesystem::path& list, const std::string& split, const std::string& form,
                                  const std::filesystem::path& output);

/// Writes OUTPUT/submission of the pairs' fields and checks it as the challenge does: every file is there under its
/// name, of the fixed scan's shape, all numbers finite; nothing else is there. Prints what it found.
/// @throws DataError naming the file that is wrong
void write_submission(const Learn2RegTask& task, const std::filesystem::path& output,
                      const std::string& npz_orientation);

}  // namespace regatta::app
