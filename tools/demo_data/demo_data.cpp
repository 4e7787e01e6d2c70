// regatta-demo-data OUT_DIR [brain|lung|heart] [--half]: made-up releases, --half with half as many voxels an axis.
// brain, the default: an atlas and 12 subjects made from it by random diffeomorphisms and intensity changes, with
// labels, as NIfTI files, and the data set file that names them. lung, heart: phantoms as other releases lay them out.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "coarse.hpp"
#include "diffeomorphism.hpp"
#include "heart_phantom.hpp"
#include "lung_phantom.hpp"
#include "phantom.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/random.hpp"
#include "regatta/base/run_main.hpp"
#include "regatta/config/json.hpp"
#include "regatta/volume/nifti.hpp"

namespace regatta::demo {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSeed = 20;
constexpr std::uint32_t kSubjects = 12;
constexpr std::uint32_t kTrainSubjects = 8;
constexpr std::uint32_t kAtlas = 101;  ///< number of the atlas among the draws

/// Contrast, a slow change of brightness over the head, and noise: what scanners differ in.
void change_intensities(std::vector<float>& image, const Shape3& shape, std::uint32_t subject) {
  const CounterRng rng(kSeed + 1, RandomPurpose::kSynthetic);
  const float highest = *std::max_element(image.begin(), image.end());
  const double gamma = std::exp(0.5 * (rng.uniform(0, subject) - 0.5));
  Point3 slope{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    slope[axis] = 0.3 * (rng.uniform(1 + axis, subject) - 0.5);
  }
  for (std::size_t flat = 0; flat < image.size(); ++flat) {
    if (image[flat] <= 0) {
      continue;
    }
    const auto w = static_cast<std::int64_t>(flat) % shape[2];
    const auto h = static_cast<std::int64_t>(flat) / shape[2] % shape[1];
    const auto d = static_cast<std::int64_t>(flat) / (shape[2] * shape[1]);
    double bias = 1.0;
    bias += slope[0] * (static_cast<double>(d) / static_cast<double>(shape[0]) - 0.5);
    bias += slope[1] * (static_cast<double>(h) / static_cast<double>(shape[1]) - 0.5);
    bias += slope[2] * (static_cast<double>(w) / static_cast<double>(shape[2]) - 0.5);
    const double clean = std::pow(static_cast<double>(image[flat] / highest), gamma) * bias;
    const double noise = 0.02 * rng.normal(static_cast<std::uint64_t>(flat) + 16, subject);
    image[flat] = static_cast<float>(std::max(0.0, clean + noise) * static_cast<double>(highest));
  }
}

Json subject_entry(const std::string& id, const std::string& split) {
  return {{"id", id}, {"image", id + ".nii.gz"}, {"labels", id + "_labels.nii.gz"}, {"split", split}};
}

void write_subject(const fs::path& folder, const std::string& id, const std::vector<float>& image,
                   const std::vector<std::int16_t>& labels, const Grid& grid) {
  write_nifti(folder / (id + ".nii.gz"), std::span<const float>(image), grid);
  write_nifti(folder / (id + "_labels.nii.gz"), std::span<const std::int16_t>(labels), grid);
  std::cout << id << std::endl;
}

Brain find_brain(const Factor& factor) {
  const fs::path colin = "/usr/share/mricron/templates";
  Brain brain = fs::exists(colin / "ch2bet.nii.gz") ? read_colin(colin) : make_phantom(kSeed);
  const Shape3 shape = brain.grid.shape;
  return {brain.source, coarse_grid(brain.grid, factor), block_means(brain.image, shape, factor),
          block_firsts(brain.labels, shape, factor)};
}

ExitCode make_data(const fs::path& folder, bool half) {
  make_directories(folder);
  const Brain brain = find_brain(half ? kHalf : kWhole);
  DeformationOptions deformation;
  if (half) {
    deformation.deviation_vox /= 2;
    deformation.strength_vox /= 2;
  }
  std::cout << "subjects from: " << brain.source << std::endl;
  const Field to_atlas =
      random_diffeomorphism(brain.grid.shape, deformation, kSeed, kAtlas);  // one more of the population
  Json subjects = Json::array({subject_entry("atlas", "atlas")});
  write_subject(folder, "atlas", warp_linear(brain.image, to_atlas), warp_nearest(brain.labels, to_atlas), brain.grid);
  for (std::uint32_t subject = 0; subject < kSubjects; ++subject) {
    const std::string id = str("subject", subject < 9 ? "0" : "", subject + 1);
    const Field field = random_diffeomorphism(brain.grid.shape, deformation, kSeed, subject);
    std::vector<float> image = warp_linear(brain.image, field);
    change_intensities(image, brain.grid.shape, subject);
    write_subject(folder, id, image, warp_nearest(brain.labels, field), brain.grid);
    subjects.push_back(subject_entry(id, subject < kTrainSubjects ? "train" : "val"));
  }
  Json dataset;
  dataset["schema"] = 1;
  dataset["name"] = "demo";
  dataset["subjects"] = subjects;
  dataset["pairs"] = {{"rule", "atlas"}, {"atlas", "atlas"}};
  dataset["preprocess"] = {{"spacing_mm", {5.0, 4.0, 5.0}}, {"shape", {32, 48, 32}}};
  write_file_atomically(folder / "dataset.json", dump_pretty(dataset));
  std::cout << "wrote " << (folder / "dataset.json").string() << std::endl;
  return ExitCode::kOk;
}

}  // namespace
}  // namespace regatta::demo

int main(int argc, char** argv) {
  return regatta::run_main([&] {
    std::vector<std::string> words(argv + 1, argv + argc);
    const bool half = std::erase(words, "--half") > 0;
    const std::string kind = words.size() == 2 ? words[1] : "brain";
    REGATTA_REQUIRE((words.size() == 1 || words.size() == 2) && words[0][0] != '-' &&
                        (kind == "brain" || kind == "lung" || kind == "heart"),
                    ConfigError, "usage: regatta-demo-data OUT_DIR [brain|lung|heart] [--half]");
    if (kind == "lung") {
      regatta::demo::make_lungs(words[0], half);
      return regatta::ExitCode::kOk;
    }
    if (kind == "heart") {
      regatta::demo::make_hearts(words[0], half);
      return regatta::ExitCode::kOk;
    }
    return regatta::demo::make_data(words[0], half);
  });
}
