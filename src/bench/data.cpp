#include "regatta/bench/data.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "bench/own_folder.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/random.hpp"
#include "regatta/base/version.hpp"
#include "regatta/train/dataset.hpp"
#include "regatta/volume/archive_writer.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/pack.hpp"
#include "regatta/volume/resample.hpp"
#include "regatta/volume/volume_file.hpp"

namespace regatta::bench {
namespace {

namespace fs = std::filesystem;

double timed(const std::function<void()>& work) {
  const double start = system_clock().monotonic_s();
  work();
  return system_clock().monotonic_s() - start;
}

/// Calls work(i) for all i on N threads, each of which takes the next.
void share_out(std::int64_t count, int threads, const std::function<void(std::int64_t)>& work) {
  std::atomic<std::int64_t> next{0};
  std::vector<std::jthread> team;
  for (int i = 0; i < threads; ++i) {
    team.emplace_back([&] {
      for (std::int64_t item = next++; item < count; item = next++) {
        work(item);
      }
    });
  }
}

/// The given scan, or a head of three ellipsoids, on a cube of 1 mm.
std::vector<float> template_cube(const DataBenchmark& options) {
  const Shape3 shape = {options.size, options.size, options.size};
  const double half = static_cast<double>(options.size - 1) / 2.0;
  if (!options.scan.empty()) {
    const Volume scan = read_volume(options.scan);
    const Point3 middle = map_point(scan.grid.affine, {static_cast<double>(scan.grid.shape[0] - 1) / 2.0,
                                                       static_cast<double>(scan.grid.shape[1] - 1) / 2.0,
                                                       static_cast<double>(scan.grid.shape[2] - 1) / 2.0});
    Affine cube = identity_affine();
    for (std::size_t axis = 0; axis < 3; ++axis) {
      cube[axis * 4 + 3] = middle[axis] - half;
    }
    std::vector<float> voxels = resample_to_grid(scan.voxels, scan.grid, {shape, cube}, Interpolation::kLinear);
    const float most = *std::max_element(voxels.begin(), voxels.end());
    std::transform(voxels.begin(), voxels.end(), voxels.begin(), [most](float v) { return 3000.0F * v / most; });
    return voxels;
  }
  std::vector<float> voxels;
  voxels.reserve(static_cast<std::size_t>(voxel_count(shape)));
  for (std::int64_t d = 0; d < options.size; ++d) {
    for (std::int64_t h = 0; h < options.size; ++h) {
      for (std::int64_t w = 0; w < options.size; ++w) {
        const auto radius = [&](double a, double b, double c) {
          return std::hypot((static_cast<double>(d) - half) / (a * half), (static_cast<double>(h) - half) / (b * half),
                            (static_cast<double>(w) - half) / (c * half));
        };
        voxels.push_back(radius(0.3, 0.35, 0.25) < 1  ? 2200.0F
                         : radius(0.6, 0.7, 0.55) < 1 ? 1500.0F
                         : radius(0.7, 0.8, 0.65) < 1 ? 500.0F
                                                      : 0.0F);
      }
    }
  }
  return voxels;
}

/// int16 scans, different in brightness, place and noise (of the background too, as in a scan of a head), as .nii.gz.
void make_scans(const DataBenchmark& options, const fs::path& folder) {
  const std::vector<float> cube = template_cube(options);
  const CounterRng rng(1, RandomPurpose::kSynthetic);
  share_out(options.count, options.threads, [&](std::int64_t number) {
    const auto subject = static_cast<std::uint32_t>(number);
    const double gain = 0.7 + 0.6 * rng.uniform(0, subject);
    const auto shift = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(cube.size()) / 64, 1, subject));
    std::vector<std::int16_t> voxels(cube.size());
    for (std::size_t i = 0; i < cube.size(); ++i) {
      const float value = cube[(i + static_cast<std::size_t>(shift)) % cube.size()];
      const double noise = 24.0 * (rng.uniform(i + 2, subject) - 0.5);
      voxels[i] = static_cast<std::int16_t>(std::lround(std::abs(gain * double{value} + noise)));
    }
    const Grid grid = {{options.size, options.size, options.size}, identity_affine()};
    write_nifti(folder / str("s", number, ".nii.gz"), std::span<const std::int16_t>(voxels), grid);
  });
}

DatasetFile dataset_of(const DataBenchmark& options, const fs::path& folder, bool resampled) {
  Json json = {{"schema", 1}, {"pairs", {{"rule", "random"}, {"count", 10}}}, {"subjects", Json::array()}};
  for (std::int64_t i = 0; i < options.count; ++i) {
    json["subjects"].push_back({{"id", str("s", i)}, {"image", str("s", i, ".nii.gz")}});
  }
  if (resampled) {
    json["preprocess"]["spacing_mm"] = {1.25, 1.25, 1.25};
  }
  return dataset_from_json(json, folder);
}

/// The first subject's packed voxels, again from its file by the plain formula.
void check_packed(const DataBenchmark& options, const fs::path& folder, const fs::path& path) {
  const Archive archive = Archive::open(path);
  std::vector<std::uint8_t> packed(static_cast<std::size_t>(voxel_count(archive.shape())));
  archive.read_image(0, std::as_writable_bytes(std::span(packed)));
  const Volume scan = read_volume(folder / "s0.nii.gz");
  std::vector<float> sorted = scan.voxels;
  std::sort(sorted.begin(), sorted.end());
  const double rank = 0.999 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const double high =
      double{sorted[below]} + (rank - static_cast<double>(below)) * (double{sorted[below + 1]} - double{sorted[below]});
  const double low = double{sorted.front()};
  for (std::size_t i = 0; i < packed.size(); ++i) {
    const double expected = 255.0 * std::clamp((double{scan.voxels[i]} - low) / (high - low), 0.0, 1.0);
    REGATTA_REQUIRE(std::abs(expected - static_cast<double>(packed[i])) <= 0.51, BugError, "voxel ", i, " of '",
                    archive.subjects()[0].id, "' is packed as ", static_cast<int>(packed[i]), ", expected ", expected,
                    " (", options.size, " cubed)");
  }
}

struct Measurement {
  const char* name;
  std::function<void()> work;
  double best_s = 0.0;
};

/// Best times of several works. They take turns, so that a machine that is slower for a while is slower for all.
/// @param prepare  called before each turn, not timed
void measure(int repeats, std::vector<Measurement>& all, const std::function<void()>& prepare) {
  for (int i = 0; i < repeats; ++i) {
    prepare();
    for (Measurement& each : all) {
      const double seconds = timed(each.work);
      each.best_s = i == 0 ? seconds : std::min(each.best_s, seconds);
    }
  }
}

/// Each beside the first. Prints a line each.
void report_ratios(const std::vector<Measurement>& all, Json& report) {
  for (const Measurement& each : all) {
    const double ratio = each.best_s / all.front().best_s;
    report[each.name] = {{"seconds", each.best_s}, {"ratio", ratio}};
    std::cout << each.name << "  " << duration_text(each.best_s) << ", " << to_text(ratio) << " x\n" << std::flush;
  }
}

/// An archive of noise of about this number of bytes.
void make_archive(const fs::path& path, std::int64_t bytes) {
  ArchiveHeader header;
  header.shape = {160, 192, 224};
  header.subjects = std::max<std::int64_t>(2, bytes / voxel_count(header.shape));
  const std::int64_t subjects = header.subjects;
  ArchiveWriter writer(path, header);
  std::vector<std::uint8_t> image(static_cast<std::size_t>(voxel_count(header.shape)));
  const CounterRng rng(2, RandomPurpose::kSynthetic);
  for (std::int64_t i = 0; i < header.subjects; ++i) {
    for (std::size_t voxel = 0; voxel + 8 <= image.size(); voxel += 8) {
      const std::uint64_t bits = rng.bits(voxel, static_cast<std::uint32_t>(i));
      std::memcpy(image.data() + voxel, &bits, 8);
    }
    ArchiveSubject subject;
    subject.id = str("s", i);
    subject.split = "train";
    writer.add(subject, std::as_bytes(std::span(image)));
  }
  std::vector<ArchivePair> pairs;
  for (std::int64_t i = 1; i < subjects; ++i) {
    pairs.push_back({"train", 0, i});
  }
  writer.set_pairs(pairs);
  writer.finish();
}

/// Into memory of the file's size, as a loaded set is held.
void read_whole(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  REGATTA_REQUIRE(fd >= 0, DataError, path.string(), ": cannot open");
  std::vector<char> buffer(fs::file_size(path));
  std::size_t done = 0;
  for (ssize_t got = 1; got > 0; done += static_cast<std::size_t>(std::max<ssize_t>(0, got))) {
    got = ::read(fd, buffer.data() + done, buffer.size() - done);
  }
  ::close(fd);
}

void load_whole(const fs::path& path) {
  const Archive archive = Archive::open(path);
  const Dataset data = Dataset::load(archive, {{"train"}, "", ""}, at::Device(at::kCPU));
  REGATTA_REQUIRE(data.volumes() == static_cast<std::int64_t>(archive.subjects().size()), BugError, path.string(), ": ",
                  data.volumes(), " volumes loaded");
}

}  // namespace

Json measure_data(const DataBenchmark& options) {
  const OwnFolder own;
  const fs::path& folder = own.path();
  make_scans(options, folder);
  Json report = {{"kind", "data"},
                 {"build", build_id()},
                 {"when", system_clock().utc_text()},
                 {"scan", options.scan.empty() ? "made up" : fs::path(options.scan).filename().string()},
                 {"count", options.count},
                 {"size", options.size},
                 {"threads", options.threads}};
  std::uintmax_t compressed = 0;
  for (std::int64_t i = 0; i < options.count; ++i) {
    compressed += fs::file_size(folder / str("s", i, ".nii.gz"));
  }
  report["compressed_bytes"] = compressed;
  const auto pack = [&options, &folder](bool resampled) {
    return [&options, &folder, resampled, dataset = dataset_of(options, folder, resampled)] {
      PackOptions to;
      to.output = folder / (resampled ? "resampled.h5" : "plain.h5");
      to.threads = options.threads;
      pack_dataset(dataset, to);
    };
  };
  std::vector<Measurement> packing = {{"inflate",
                                       [&] {
                                         share_out(options.count, options.threads, [&](std::int64_t i) {
                                           inflate_whole(folder / str("s", i, ".nii.gz"));
                                         });
                                       }},
                                      {"pack", pack(false)},
                                      {"pack_resampled", pack(true)}};
  measure(options.repeats, packing, [&folder] {
    fs::remove(folder / "plain.h5");
    fs::remove(folder / "resampled.h5");
  });
  report_ratios(packing, report);
  check_packed(options, folder, folder / "plain.h5");
  make_archive(folder / "large.h5", options.load_bytes);
  report["archive_bytes"] = fs::file_size(folder / "large.h5");
  read_whole(folder / "large.h5");  // into the page cache
  std::vector<Measurement> loading = {{"read", [&] { read_whole(folder / "large.h5"); }},
                                      {"load_verified", [&] { load_whole(folder / "large.h5"); }}};
  measure(options.repeats, loading, [] {});
  report_ratios(loading, report);
  return report;
}

}  // namespace regatta::bench
