// Volume files made by code: NIfTI of any version, byte order and type with any field overwritten, and npz.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta::test {

/// A NIfTI file and what its header says.
struct NiftiMaker {
  bool second = false;      ///< NIfTI-2
  bool swap = false;        ///< the other byte order
  bool pair = false;        ///< the header of a .hdr, without voxels behind it
  std::int64_t frames = 0;  ///< 0: three dimensions
  int datatype = 16;
  Shape3 shape = {4, 3, 2};
  Affine affine = identity_affine();
  int sform_code = 1;
  int qform_code = 0;
  double pixdim[4] = {1, 1, 1, 1};
  double quaternion[3] = {0, 0, 0};
  double qoffset[3] = {0, 0, 0};
  double slope = 0.0;
  double inter = 0.0;
  std::vector<double> values;  ///< file order (i fastest); empty: 0, 1, 2 ...

  std::string header() const;
  std::string voxels() const;

  /// Bytes of a whole file: both.
  std::string bytes() const { return header() + voxels(); }
};

/// Overwrites the header field at `offset`.
template <class T>
void poke(std::string& file, std::size_t offset, T value) {
  file.replace(offset, sizeof(T), reinterpret_cast<const char*>(&value), sizeof(T));
}

/// The value at `offset`.
template <class T>
T peek(const std::string& file, std::size_t offset) {
  T value;
  file.copy(reinterpret_cast<char*>(&value), sizeof(T), offset);
  return value;
}

std::string gzip(const std::string& bytes);

/// A zip archive of npy arrays, stored or deflated. @param arrays  name and npy bytes
std::string zip(const std::vector<std::pair<std::string, std::string>>& arrays, bool deflated);

/// npy bytes of a float64, C-order array.
std::string npy(const Shape3& shape, const std::vector<double>& values, const std::string& descr = "<f8",
                bool fortran = false);

void write_bytes(const std::filesystem::path& path, const std::string& bytes);

std::string read_bytes(const std::filesystem::path& path);

/// The text of the Error that `body` throws; "" if it throws none. Fails the test on any other exception.
std::string error_text(const std::function<void()>& body);

}  // namespace regatta::test
