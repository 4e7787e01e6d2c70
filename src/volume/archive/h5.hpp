// Thin ownership and error texts over the HDF5 C API; the only file that includes hdf5.h.
// Strings are variable-length UTF-8, numbers little-endian standard types: h5dump and h5py show them as they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <hdf5.h>

#include "regatta/base/error.hpp"

namespace regatta::h5 {

/// HDF5's innermost complaint about the call that has just failed.
std::string last_error();

/// No stack dumps on stderr from here on; call before anything else (per thread in thread-safe builds).
void quiet();

/// Serialises all calls: builds of HDF5 without thread safety are common.
std::mutex& library_mutex();

/// An id with its closing function.
class Handle {
 public:
  Handle() = default;
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() { reset(); }

  void reset() {
    if (id_ >= 0) {
      close_(id_);
    }
    id_ = -1;
  }

  hid_t id() const { return id_; }

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

using Dims = std::vector<hsize_t>;

/// The type in files and in memory for one of our number types.
template <class T>
hid_t type_id();
template <>
hid_t type_id<std::uint8_t>();
template <>
hid_t type_id<float>();
template <>
hid_t type_id<double>();
template <>
hid_t type_id<std::int32_t>();
template <>
hid_t type_id<std::int64_t>();
template <>
hid_t type_id<std::uint64_t>();

Handle string_type();
Handle create_group(hid_t parent, const std::string& name, const std::string& source);
bool exists(hid_t parent, const std::string& name);

// A whole small dataset at once.
void write_numbers(hid_t parent, const std::string& name, hid_t type, const Dims& dims, const void* data,
                   const std::string& source);
void write_strings(hid_t parent, const std::string& name, const std::vector<std::string>& values,
                   const std::string& source);

// Attributes: one string, or a vector of numbers (one element: a scalar).
void write_attribute(hid_t parent, const std::string& name, const std::string& value, const std::string& source);
void write_attribute(hid_t parent, const std::string& name, hid_t type, std::size_t count, const void* data,
                     const std::string& source);
std::string read_string_attribute(hid_t parent, const std::string& name, const std::string& source);
void read_attribute(hid_t parent, const std::string& name, hid_t type, std::size_t count, void* data,
                    const std::string& source);

/// @throws DataError unless the file itself holds it (no link to another file or place)
Handle open_group(hid_t parent, const std::string& name, const std::string& source);
Handle open_dataset(hid_t parent, const std::string& name, const std::string& source);
Dims dims_of(hid_t dataset, const std::string& source);

/// Bytes of the file that holds the object.
std::uint64_t file_bytes(hid_t object, const std::string& source);

/// @throws DataError unless the dataset has exactly these dimensions and numbers, and the file holds all of them
void read_numbers(hid_t parent, const std::string& name, hid_t type, const Dims& dims, void* data,
                  const std::string& source);
/// Opens an HDF5 file to be read alone, without locks, which fail on some cluster file systems.
/// @throws DataError naming the file
Handle open_to_read(const std::filesystem::path& path);

/// A whole vector of any length, of numbers of at most 64 bits, stored plainly or in chunks that deflate packs.
/// @throws DataError also if the file cannot hold as many numbers as it says
void read_vector(hid_t parent, const std::string& name, std::vector<float>& out, const std::string& source);
void read_vector(hid_t parent, const std::string& name, std::vector<double>& out, const std::string& source);

/// @throws DataError also for strings that are together longer than the file
std::vector<std::string> read_strings(hid_t parent, const std::string& name, std::size_t count,
                                      const std::string& source);

}  // namespace regatta::h5

/// The value of an HDF5 call. @throws DataError with the file, what was being done and HDF5's own reason if it is
/// negative
#define REGATTA_H5(call, source, what) ::regatta::h5::check((call), source, what)

namespace regatta::h5 {

template <class T>
T check(T value, const std::string& source, const std::string& what) {
  REGATTA_REQUIRE(value >= 0, DataError, source, ": cannot ", what, ": ", last_error());
  return value;
}

}  // namespace regatta::h5
