#include "scan_folder.hpp"

#include "files.hpp"

namespace regatta::test {
namespace {

constexpr std::size_t kDim0 = 40;
constexpr std::size_t kDim4 = 48;

void put(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  write_bytes(path, path.extension() == ".gz" ? gzip(bytes) : bytes);
}

}  // namespace

ScanFolder& ScanFolder::scan(const std::string& path, const Shape3& shape, const Affine& affine,
                             const std::vector<double>& values) {
  NiftiMaker maker;
  maker.shape = shape;
  maker.affine = affine;
  maker.values = values;
  put(folder_ / path, maker.bytes());
  return *this;
}

ScanFolder& ScanFolder::series(const std::string& path, int frames, const Shape3& shape) {
  NiftiMaker maker;
  maker.shape = shape;
  std::string bytes = maker.bytes();
  const std::string voxels = bytes.substr(352);
  for (int frame = 1; frame < frames; ++frame) {
    bytes += voxels;
  }
  poke(bytes, kDim0, std::int16_t{4});
  poke(bytes, kDim4, static_cast<std::int16_t>(frames));
  put(folder_ / path, bytes);
  return *this;
}

ScanFolder& ScanFolder::text(const std::string& path, const std::string& content) {
  put(folder_ / path, content);
  return *this;
}

Affine spaced(double d, double h, double w) {
  return {d, 0, 0, 0, 0, h, 0, 0, 0, 0, w, 0, 0, 0, 0, 1};
}

}  // namespace regatta::test
