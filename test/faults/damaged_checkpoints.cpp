#include "faults/damaged_checkpoints.hpp"

#include <algorithm>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/random.hpp"
#include "regatta/nn/weights.hpp"
#include "regatta/train/checkpoint.hpp"
#include "unit/train/scene.hpp"

namespace regatta::faults {
namespace {

namespace fs = std::filesystem;

/// A run folder with three checkpoints (steps 50, 55, 60) and no result: as if killed before its end was written.
void copy_unfinished(const Whole& whole, const fs::path& run) {
  fs::copy(whole.run, run, fs::copy_options::recursive);
  fs::remove(run / "result.json");
}

/// Damages all checkpoints but `sound` of the oldest.
void damage(const fs::path& run, std::size_t sound) {
  const auto published = list_checkpoints({run});
  for (std::size_t i = 0; i + sound < published.size(); ++i) {
    std::string bytes = test::bytes_of(published[i].path);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    write_file_atomically(published[i].path, bytes);
  }
}

}  // namespace

Row bit_flips(const Options& options, const Whole& whole) {
  constexpr std::int64_t kFlipsACase = 250;
  const std::int64_t flips = options.full ? 10000 : 1000;
  return run_cases(options, str("bit flips, ", kFlipsACase, " a run"), flips / kFlipsACase,
                   [&](std::int64_t number, const fs::path& folder) -> std::string {
                     const CounterRng rng(options.seed, RandomPurpose::kSynthetic);
                     for (std::int64_t i = 0; i < kFlipsACase; ++i) {
                       const std::int64_t flip = number * kFlipsACase + i;
                       // A fifth of them in the header, which is small beside the tensors.
                       const std::size_t range =
                           flip % 5 == 0 ? std::min<std::size_t>(16384, whole.last.size()) : whole.last.size();
                       const std::uint64_t bit = rng.bits(static_cast<std::uint64_t>(flip), 0) % (range * 8);
                       std::string bytes = whole.last;
                       bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ static_cast<char>(1U << (bit % 8)));
                       const fs::path path = folder / "flipped.safetensors";
                       std::error_code error;
                       fs::remove(path, error);
                       write_file_atomically(path, bytes);
                       try {
                         read_safetensors(path);
                         return str("bit ", bit, " of ", bytes.size() * 8, " was not noticed");
                       } catch (const DataError&) {
                       }
                     }
                     return "";
                   });
}

Row truncations(const Options& options, const Whole& whole) {
  const std::int64_t cuts = options.full ? 200 : 40;
  return run_cases(
      options, "truncated checkpoint", cuts, [&](std::int64_t number, const fs::path& folder) -> std::string {
        const std::size_t size = whole.last.size();
        const CounterRng rng(options.seed, RandomPurpose::kSynthetic);
        const std::size_t length = number == 0   ? 0
                                   : number == 1 ? 1
                                   : number == 2 ? size - 1
                                                 : rng.bits(static_cast<std::uint64_t>(number), 1) % size;
        const fs::path run = folder / "run";
        copy_unfinished(whole, run);
        const fs::path newest = list_checkpoints({run}).at(0).path;
        fs::resize_file(newest, length);
        const ChildEnd end = run_child(no_fault(), folder / "log", [&] {
          const auto loaded = load_newest_checkpoint({run}, whole.hash);
          return loaded && loaded->counters.step == kSteps - 5 ? 0 : 1;
        });
        if (end.code != 0) {
          return str("cut to ", length, " bytes: the one before was not loaded");
        }
        if (!fs::exists(newest.string() + ".bad") || end.log.find(newest.filename().string()) == std::string::npos) {
          return str("cut to ", length, " bytes: not set aside by name: ", one_line(end.log, 300));
        }
        return "";
      });
}

Row all_but_the_oldest(const Options& options, const Whole& whole) {
  return run_cases(options, "all but the oldest damaged", 1, [&](std::int64_t, const fs::path& folder) -> std::string {
    const fs::path run = folder / "run";
    copy_unfinished(whole, run);
    damage(run, 1);
    const ChildEnd end = run_child(no_fault(), folder / "log", [&] { return train(run, whole.recipe); });
    if (end.code != 0) {
      return str("ended with ", end.code, ": ", one_line(end.log, 300));
    }
    std::int64_t bad = 0;
    for (const auto& entry : fs::recursive_directory_iterator(run)) {
      bad += entry.path().extension() == ".bad" ? 1 : 0;
    }
    if (bad != 2) {
      return str(bad, " files were set aside, 2 expected");
    }
    return test::newest_checkpoint_bytes(run) == whole.last ? "" : "the last checkpoint differs";
  });
}

Row all_damaged(const Options& options, const Whole& whole) {
  return run_cases(options, "all damaged", 1, [&](std::int64_t, const fs::path& folder) -> std::string {
    const fs::path run = folder / "run";
    copy_unfinished(whole, run);
    damage(run, 0);
    for (int again = 0; again < 2; ++again) {
      const ChildEnd end = run_child(no_fault(), folder / "log", [&] { return train(run, whole.recipe); });
      if (end.code != 30) {
        return str("ended with ", end.code, ", 30 expected");
      }
    }
    return "";
  });
}

}  // namespace regatta::faults
