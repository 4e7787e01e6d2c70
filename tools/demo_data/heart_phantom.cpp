#include "heart_phantom.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <numbers>
#include <string>
#include <vector>

#include "coarse.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/random.hpp"
#include "regatta/base/text.hpp"
#include "regatta/volume/nifti.hpp"

namespace regatta::demo {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSeed = 47;
constexpr std::uint32_t kPatients = 5;
constexpr int kFrames = 8;
constexpr int kEndSystole = 4;  ///< frame from 0; end-diastole is 0
constexpr Shape3 kShape = {64, 64, 12};

struct Frame {
  std::vector<std::int16_t> image;  ///< [D, H, W]
  std::vector<std::int16_t> labels;
};

/// @param squeeze  0 at end-diastole, 1 at end-systole
Frame make_frame(std::uint32_t patient, int number, double squeeze) {
  const CounterRng rng(kSeed, RandomPurpose::kSynthetic);
  const auto vary = [&](std::uint64_t what, double low, double high) {
    return low + (high - low) * rng.uniform(what, patient);
  };
  const double centre_d = vary(0, 29, 35);
  const double centre_h = vary(1, 29, 35);
  const double pool = vary(2, 8, 10) * (1.0 - 0.35 * squeeze);
  const double muscle = std::sqrt(pool * pool + vary(3, 60, 90));  // its area stays
  const double side = vary(4, 10, 13) * (1.0 - 0.2 * squeeze);
  const double base = vary(5, 9, 11) - 1.5 * squeeze;  // the base moves to the apex
  Frame out;
  for (std::int64_t d = 0; d < kShape[0]; ++d) {
    for (std::int64_t h = 0; h < kShape[1]; ++h) {
      for (std::int64_t w = 0; w < kShape[2]; ++w) {
        const double x = static_cast<double>(d) - centre_d;
        const double y = static_cast<double>(h) - centre_h;
        const double z = static_cast<double>(w);
        const double taper = z > 0.5 && z < base ? std::sqrt(std::min(1.0, z / 4.0)) : 0.0;
        const double radius = std::hypot(x, y);
        std::int16_t label = 0;
        double value = std::hypot(static_cast<double>(d) - 32, static_cast<double>(h) - 32) < 29
                           ? 60 + 10 * std::sin(0.4 * x + 0.3 * y)
                           : 5;
        if (taper > 0.0 && radius < pool * taper) {
          label = 3;
          value = 220;
        } else if (taper > 0.0 && radius < muscle * taper) {
          label = 2;
          value = 110;
        } else if (taper > 0.0 && std::hypot(x + muscle * 0.8, y) < side * taper) {
          label = 1;
          value = 200;
        }
        const auto counter = static_cast<std::uint64_t>(number) * 100000 + out.image.size() + 100;
        value += 6.0 * rng.normal(counter, patient);
        out.image.push_back(static_cast<std::int16_t>(std::lround(std::max(0.0, value))));
        out.labels.push_back(label);
      }
    }
  }
  return out;
}

std::string frame_name(const std::string& patient, int frame) {
  return str(patient, "_frame", frame < 9 ? "0" : "", frame + 1);
}

void make_patient(const fs::path& folder, std::uint32_t number, const Factor& factor) {
  const std::string name = str("patient00", number + 1);
  const Grid grid = coarse_grid({kShape, {-2.5, 0, 0, 80, 0, -2.5, 0, 80, 0, 0, 8, -48, 0, 0, 0, 1}}, factor);
  make_directories(folder / name);
  std::vector<std::int16_t> series;
  for (int frame = 0; frame < kFrames; ++frame) {
    const double squeeze = 0.5 - 0.5 * std::cos(2.0 * std::numbers::pi * frame / kFrames);
    Frame made = make_frame(number, frame, squeeze);
    made.image = block_means(made.image, kShape, factor);
    made.labels = block_firsts(made.labels, kShape, factor);
    series.insert(series.end(), made.image.begin(), made.image.end());
    if (frame == 0 || frame == kEndSystole) {
      const fs::path path = folder / name / frame_name(name, frame);
      write_nifti(path.string() + ".nii.gz", std::span<const std::int16_t>(made.image), grid);
      write_nifti(path.string() + "_gt.nii.gz", std::span<const std::int16_t>(made.labels), grid);
    }
  }
  write_nifti_series(folder / name / (name + "_4d.nii.gz"), series, grid, kFrames);
  write_file_atomically(folder / name / "Info.cfg",
                        str("ED: 1\nES: ", kEndSystole + 1, "\nGroup: PHANTOM\nNbFrame: ", kFrames, '\n'));
  std::cout << name << std::endl;
}

}  // namespace

void make_hearts(const fs::path& folder, bool half) {
  const fs::path training = folder / "heart_phantom" / "training";
  for (std::uint32_t number = 0; number < kPatients; ++number) {
    make_patient(training, number, half ? Factor{2, 2, 1} : kWhole);
  }
  std::cout << "wrote " << training.parent_path().string() << std::endl;
}

}  // namespace regatta::demo
