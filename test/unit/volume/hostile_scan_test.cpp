// Scan files made to hurt: one line, exit code 3, and no more memory than twice what the file implies.
#include <cmath>
#include <limits>

#include "attempt.hpp"
#include "files.hpp"
#include "regatta/base/random.hpp"
#include "regatta/volume/volume_file.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::NiftiMaker;
using regatta::test::poke;
using regatta::test::TemporaryFolder;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

struct HostileScan {
  const char* what;
  std::string name;
  std::string bytes;
  std::string message;
};

std::string noise(std::size_t bytes) {
  const CounterRng rng(11, RandomPurpose::kSynthetic);
  std::string out(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) {
    out[i] = static_cast<char>(rng.below(256, i));
  }
  return out;
}

/// A NIfTI-1 header with these dimensions, 352 bytes.
std::string sized(std::initializer_list<int> dims, int datatype = 2) {
  NiftiMaker maker;
  maker.datatype = datatype;
  std::string out = maker.header();
  poke(out, 40, static_cast<std::int16_t>(dims.size()));
  std::size_t at = 42;
  for (const int n : dims) {
    poke(out, at, static_cast<std::int16_t>(n));
    at += 2;
  }
  return out;
}

template <class T>
std::string poked(bool second, std::size_t offset, T value) {
  NiftiMaker maker;
  maker.second = second;
  std::string out = maker.bytes();
  poke(out, offset, value);
  return out;
}

std::vector<HostileScan> hostile_scans() {
  const std::string bomb = test::gzip(NiftiMaker{}.bytes() + std::string(64 * kMiB, '\0'));
  const std::string large = sized({3000, 3000, 500}, 64);  // 36 GB
  return {
      {"a gzip bomb behind a small header", "v.nii.gz", bomb, "holds more than its header implies"},
      {"377 bytes that ask for 18 GB", "v.nii", sized({1300, 1300, 1331}, 64) + std::string(25, 'x'),
       "truncated: the header asks for 17995"},
      {"the same as gzip", "v.nii.gz", test::gzip(sized({1300, 1300, 1331}, 64) + std::string(25, 'x')),
       "cannot hold them"},
      {"256 KiB of noise that asks for 200 MiB as gzip", "v.nii.gz",
       test::gzip(sized({1024, 1024, 200}) + noise(kMiB / 4)), "truncated"},
      {"a series of 32767 frames in a small file", "v.nii", sized({64, 64, 64, 32767}) + "x", "truncated: the header"},
      {"36 GB behind 8 MiB of zeros as gzip", "v.nii.gz", test::gzip(large + std::string(8 * kMiB, '\0')),
       "cannot hold them"},
      {"dimensions whose product overflows", "v.nii", sized({32767, 32767, 32767, 32767, 32767, 32767, 32767}),
       "dimensions overflow"},
      {"three dimensions whose product is too large", "v.nii", sized({32767, 32767, 32767}), "dimensions overflow"},
      {"NIfTI-2 dimensions whose product is 0 modulo 2^64", "v.nii", poked(true, 24, std::int64_t{1} << 62),
       "dim[1] 46"},
      {"NIfTI-2 dim[0] of 8", "v.nii", poked(true, 16, std::int64_t{8}), "dim[0] 8, 1..7 allowed"},
      {"NIfTI-2 dim[0] of 2^40", "v.nii", poked(true, 16, std::int64_t{1} << 40), "dim[0] 1099511627776"},
      {"NIfTI-2 dim[0] of -1", "v.nii", poked(true, 16, std::int64_t{-1}), "dim[0] -1"},
      {"negative vox_offset", "v.nii", poked(false, 108, -352.0F), "vox_offset -352"},
      {"negative vox_offset of NIfTI-2", "v.nii", poked(true, 168, std::numeric_limits<std::int64_t>::min()),
       "vox_offset -9"},
      {"vox_offset within the header", "v.nii", poked(false, 108, 348.0F), "vox_offset 348"},
      {"vox_offset beyond the file", "v.nii", poked(false, 108, 9e8F), "truncated: the header asks for 9000000"},
      {"vox_offset beyond a gzip file", "v.nii.gz", test::gzip(poked(false, 108, 100000.0F)), "truncated"},
      {"vox_offset of 1e30", "v.nii", poked(false, 108, 1e30F), "vox_offset 1.00000001"},
      {"vox_offset of NaN", "v.nii", poked(false, 108, std::nanf("")), "vox_offset nan"},
      {"half a byte of vox_offset", "v.nii", poked(false, 108, 352.5F), "vox_offset 352.5"},
      {"a slope that makes infinite voxels", "v.nii", poked(false, 112, 3e38F), "finite float32 values allowed"},
      {"a gzip file whose end lies about its size", "v.nii.gz",
       [] {
         std::string out = test::gzip(NiftiMaker{}.bytes());
         poke(out, out.size() - 4, std::uint32_t{1});
         return out;
       }(),
       "damaged gzip data"},
      {"a gzip header alone", "v.nii.gz", std::string("\x1f\x8b\x08\0\0\0\0\0\0\3", 10), "v.nii.gz: "},
      {"2 bytes that begin as gzip", "v.nii.gz", "\x1f\x8b", "v.nii.gz: "},
      {"no bytes", "v.nii.gz", "", "truncated"},
  };
}

}  // namespace

TEST_CASE("a hostile scan file is refused with one line and little memory") {
  const TemporaryFolder folder;
  for (const HostileScan& scan : hostile_scans()) {
    INFO(scan.what);
    test::write_bytes(folder / scan.name, scan.bytes);
    test::require_refused(test::attempt([&] { read_volume(folder / scan.name); }), scan.message);
    test::require_refused(test::attempt([&] { read_label_volume(folder / scan.name, "RAS", 0); }), scan.name + ": ");
  }
}

TEST_CASE("a gzip file that lies twice takes no more memory than its header implies") {
  const TemporaryFolder folder;
  std::string bytes = test::gzip(sized({256, 256, 256}, 16) + noise(kMiB / 4));
  const std::uint64_t implied = 64 * kMiB;
  poke(bytes, bytes.size() - 4, static_cast<std::uint32_t>(352 + implied));  // as if all were there
  test::write_bytes(folder / "v.nii.gz", bytes);
  test::require_refused(test::attempt([&] { read_volume(folder / "v.nii.gz"); }), "damaged gzip data", implied);
}
