#include "lung_phantom.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "coarse.hpp"
#include "diffeomorphism.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/random.hpp"
#include "regatta/base/text.hpp"
#include "regatta/config/json.hpp"
#include "regatta/volume/nifti.hpp"

namespace regatta::demo {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSeed = 31;
constexpr std::uint32_t kPatients = 6;
constexpr std::uint32_t kTrainPatients = 4;
constexpr std::uint64_t kVessels = 60;
constexpr float kAir = -1000.0F;
constexpr float kTissue = 40.0F;
constexpr float kBone = 400.0F;
constexpr float kLung = -850.0F;
constexpr float kVessel = 20.0F;
constexpr double kBreath = 4.0;  ///< voxels that the diaphragm falls

struct Patient {
  Grid grid;
  std::vector<float> image;        ///< CT values
  std::vector<std::int16_t> mask;  ///< 1: lungs
  std::vector<Point3> vessels;     ///< centres, voxels
};

double radius_in(const Point3& p, const Point3& centre, const Point3& radii) {
  double sum = 0.0;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    sum += std::pow((p[axis] - centre[axis]) / radii[axis], 2);
  }
  return std::sqrt(sum);
}

/// One patient between two breaths.
Patient make_patient(std::uint32_t number) {
  const CounterRng rng(kSeed, RandomPurpose::kSynthetic);
  const auto vary = [&](std::uint64_t what) { return 0.9 + 0.2 * rng.uniform(what, number); };
  Patient out{{{64, 64, 64}, {4, 0, 0, -128, 0, 4, 0, -128, 0, 0, 4, -128, 0, 0, 0, 1}}, {}, {}, {}};
  const Point3 body = {28 * vary(0), 21 * vary(1), 60};
  const Point3 lung = {9.5 * vary(2), 13 * vary(3), 22 * vary(4)};
  const Point3 sides[2] = {{18, 33, 33}, {46, 33, 33}};
  // Towards the left and the front, so that a mirrored scan can be told from its image.
  const Point3 heart = {25, 40, 26};
  const Point3 heart_radii = {14 * vary(5), 10 * vary(6), 12 * vary(7)};
  std::vector<double> sizes;
  for (std::uint64_t vessel = 0; vessel < kVessels; ++vessel) {
    Point3 at{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      at[axis] = sides[vessel % 2][axis] + 1.1 * (rng.uniform(100 + 4 * vessel + axis, number) - 0.5) * lung[axis];
    }
    if (radius_in(at, heart, heart_radii) < 1.2) {  // behind it
      at[1] = 2 * sides[0][1] - at[1];
    }
    out.vessels.push_back(at);
    sizes.push_back(1.0 + 1.2 * rng.uniform(103 + 4 * vessel, number));
  }
  for (std::int64_t d = 0; d < 64; ++d) {
    for (std::int64_t h = 0; h < 64; ++h) {
      for (std::int64_t w = 0; w < 64; ++w) {
        const Point3 p = {static_cast<double>(d), static_cast<double>(h), static_cast<double>(w)};
        float value = kAir;
        bool in_lung = false;
        if (std::hypot((p[0] - 32) / body[0], (p[1] - 32) / body[1]) < 1.0) {
          value = std::hypot(p[0] - 32, p[1] - 17) < 4.0 ? kBone : kTissue;
          in_lung = (radius_in(p, sides[0], lung) < 1.0 || radius_in(p, sides[1], lung) < 1.0) &&
                    radius_in(p, heart, heart_radii) >= 1.0;
        }
        if (in_lung) {
          value = kLung;
          for (std::size_t vessel = 0; vessel < out.vessels.size(); ++vessel) {
            value = radius_in(p, out.vessels[vessel], {1, 1, 1}) < sizes[vessel] ? kVessel : value;
          }
        }
        out.image.push_back(value);
        out.mask.push_back(in_lung ? 1 : 0);
      }
    }
  }
  return out;
}

/// A small random deformation, and for the breath in a fall of everything above the diaphragm.
Field breath(std::uint32_t patient, bool in) {
  DeformationOptions options;
  options.deviation_vox = 12.0;
  options.strength_vox = 1.5;
  Field field = random_diffeomorphism({64, 64, 64}, options, kSeed, 2 * patient + (in ? 1 : 0));
  const auto voxels = field.u.size() / 3;
  for (std::size_t flat = 0; in && flat < voxels; ++flat) {
    const auto w = static_cast<double>(flat % 64);
    // Most at the lungs' lower end, nothing at the volume's: the map stays one to one.
    field.u[2 * voxels + flat] += static_cast<float>(kBreath * std::exp(-std::pow((w - 14.0) / 14.0, 2)));
  }
  return field;
}

/// Where the scan shows the point q of the patient: p with p + u(p) = q, by fixed-point iteration.
Point3 seen_at(const Field& field, const Point3& q) {
  Point3 p = q;
  const auto voxels = field.u.size() / 3;
  for (int step = 0; step < 50; ++step) {
    std::array<double, 3> u{};
    for (int corner = 0; corner < 8; ++corner) {
      double weight = 1.0;
      std::size_t flat = 0;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const double low = std::clamp(std::floor(p[axis]), 0.0, 62.0);
        const bool upper = (corner >> (2 - axis) & 1) != 0;
        const double part = std::clamp(p[axis] - low, 0.0, 1.0);
        weight *= upper ? part : 1.0 - part;
        flat = flat * 64 + static_cast<std::size_t>(low) + (upper ? 1 : 0);
      }
      for (std::size_t axis = 0; axis < 3; ++axis) {
        u[axis] += weight * double{field.u[axis * voxels + flat]};
      }
    }
    for (std::size_t axis = 0; axis < 3; ++axis) {
      p[axis] = q[axis] - u[axis];
    }
  }
  return p;
}

std::vector<std::int16_t> scan_of(const Patient& patient, const Field& field, std::uint32_t number) {
  const CounterRng rng(kSeed + 1, RandomPurpose::kSynthetic);
  std::vector<float> above_air = patient.image;  // warping fills with 0 what comes from outside
  for (float& value : above_air) {
    value -= kAir;
  }
  std::vector<std::int16_t> out;
  for (const float value : warp_linear(above_air, field)) {
    const double noise = 15.0 * rng.normal(out.size(), number);
    out.push_back(static_cast<std::int16_t>(std::lround(std::max(double{kAir}, double{value} + double{kAir} + noise))));
  }
  return out;
}

Json write_scan(const fs::path& folder, const Patient& patient, std::uint32_t number, bool in, const Factor& factor) {
  const std::string name = str("LungPhantom_000", number + 1, in ? "_0001" : "_0000");
  const Field field = breath(number, in);
  const Shape3& shape = patient.grid.shape;
  const Grid grid = coarse_grid(patient.grid, factor);
  const auto image = block_means(scan_of(patient, field, 2 * number + (in ? 1 : 0)), shape, factor);
  const auto mask = block_firsts(warp_nearest(patient.mask, field), shape, factor);
  write_nifti(folder / "imagesTr" / (name + ".nii.gz"), std::span<const std::int16_t>(image), grid);
  write_nifti(folder / "masksTr" / (name + ".nii.gz"), std::span<const std::int16_t>(mask), grid);
  std::string points;
  for (const Point3& vessel : patient.vessels) {
    points += join(coarse_point(seen_at(field, vessel), factor), ",") + '\n';
  }
  write_file_atomically(folder / "keypointsTr" / (name + ".csv"), points);
  std::cout << name << std::endl;
  return {{"image", str("./imagesTr/", name, ".nii.gz")},
          {"mask", str("./masksTr/", name, ".nii.gz")},
          {"keypoints", str("./keypointsTr/", name, ".csv")}};
}

}  // namespace

void make_lungs(const fs::path& folder, bool half) {
  const Factor factor = half ? kHalf : kWhole;
  const fs::path release = folder / "lung_phantom";
  for (const char* part : {"imagesTr", "masksTr", "keypointsTr"}) {
    make_directories(release / part);
  }
  Json json = {{"name", "LungPhantom"},
               {"description", "made-up lungs, breathed out (fixed) and in (moving)"},
               {"modality", {{"0", "CT"}}},
               {"tensorImageShape", {{"0", coarse_shape({64, 64, 64}, factor)}}},
               {"training", Json::array()},
               {"training_paired_images", Json::array()},
               {"registration_val", Json::array()}};
  for (std::uint32_t number = 0; number < kPatients; ++number) {
    const Patient patient = make_patient(number);
    const Json out = write_scan(release, patient, number, false, factor);
    const Json in = write_scan(release, patient, number, true, factor);
    json["training"].push_back(out);
    json["training"].push_back(in);
    json[number < kTrainPatients ? "training_paired_images" : "registration_val"].push_back(
        {{"fixed", out.at("image")}, {"moving", in.at("image")}});
  }
  write_file_atomically(release / "LungPhantom_dataset.json", dump_pretty(json));
  std::cout << "wrote " << release.string() << std::endl;
}

}  // namespace regatta::demo
