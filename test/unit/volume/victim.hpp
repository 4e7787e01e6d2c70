// A small archive, and one opened for damage.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <hdf5.h>

#include "regatta/volume/archive_writer.hpp"
#include "support/catch.hpp"

namespace regatta::test {

using Dims = std::vector<hsize_t>;

/// Three subjects of 5x4x3 voxels, uint8, labels 0 and 7.
void write_small_archive(const std::filesystem::path& path, int deflate = 0);

/// An archive opened for damage.
class Victim {
 public:
  explicit Victim(const std::filesystem::path& path) : file_(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT)) {
    REQUIRE(file_ >= 0);
  }
  ~Victim() { H5Fclose(file_); }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  hid_t id() const { return file_; }

  void remove(const char* name) const { REQUIRE(H5Ldelete(file_, name, H5P_DEFAULT) >= 0); }

  /// An unwritten dataset in the place of `name`; chunk {}: contiguous.
  void replace(const char* name, hid_t type, const Dims& dims, const Dims& chunk = {},
               const std::function<void(hid_t)>& properties = {}) const {
    remove(name);
    const hid_t space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
    const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    if (!chunk.empty()) {
      REQUIRE(H5Pset_chunk(plist, static_cast<int>(chunk.size()), chunk.data()) >= 0);
    }
    if (properties) {
      properties(plist);
    }
    const hid_t set = H5Dcreate2(file_, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    REQUIRE(set >= 0);
    H5Dclose(set);
    H5Pclose(plist);
    H5Sclose(space);
  }

  /// The same, and as many zeros.
  void replace_with_zeros(const char* name, hid_t type, const Dims& dims) const {
    replace(name, type, dims, {}, [](hid_t plist) {
      H5Pset_alloc_time(plist, H5D_ALLOC_TIME_EARLY);
      H5Pset_fill_time(plist, H5D_FILL_TIME_ALLOC);
    });
  }

  void set_attribute(const char* name, hid_t type, const Dims& dims, const void* data) const {
    REQUIRE(H5Adelete(file_, name) >= 0);
    const hid_t space =
        dims.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
    const hid_t attribute = H5Acreate2(file_, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    REQUIRE(H5Awrite(attribute, type, data) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
  }

  void set_strings(const char* name, const std::vector<const char*>& texts) const {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    replace(name, type, {texts.size()});
    const hid_t set = H5Dopen2(file_, name, H5P_DEFAULT);
    REQUIRE(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()) >= 0);
    H5Dclose(set);
    H5Tclose(type);
  }

  void set_text(const char* name, const char* text) const {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    set_attribute(name, type, {}, &text);
    H5Tclose(type);
  }

  /// Bytes of a volume as they are stored, whatever the filters say.
  void write_chunk(const char* name, const Dims& start, const std::string& bytes) const {
    const hid_t set = H5Dopen2(file_, name, H5P_DEFAULT);
    REQUIRE(H5Dwrite_chunk(set, H5P_DEFAULT, 0, start.data(), bytes.size(), bytes.data()) >= 0);
    H5Dclose(set);
  }

 private:
  hid_t file_;
};

}  // namespace regatta::test
