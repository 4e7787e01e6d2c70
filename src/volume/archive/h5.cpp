#include "volume/archive/h5.hpp"

#include <algorithm>
#include <optional>

#include "volume/archive/string_records.hpp"
#include "volume/formats/byte_reader.hpp"

namespace regatta::h5 {
namespace {

Handle make_space(const Dims& dims, const std::string& source) {
  return {REGATTA_H5(dims.empty() ? H5Screate(H5S_SCALAR)
                                  : H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
                     source, "make a data space"),
          H5Sclose};
}

/// Reads variable-length strings and frees HDF5's copies.
std::vector<std::string> take_strings(std::vector<char*>& raw, hid_t type, hid_t space) {
  std::vector<std::string> out;
  out.reserve(raw.size());
  for (const char* text : raw) {
    out.emplace_back(text != nullptr ? text : "");
  }
  H5Dvlen_reclaim(type, space, H5P_DEFAULT, raw.data());
  return out;
}

/// Links to other files or places are none of ours.
void require_own(hid_t parent, const std::string& name, const std::string& source) {
  H5L_info_t info{};
  REGATTA_H5(H5Lget_info(parent, name.c_str(), &info, H5P_DEFAULT), source, "find " + name);
  REGATTA_REQUIRE(info.type == H5L_TYPE_HARD, DataError, source, ": ", name, ": a link, a group or dataset expected");
}

bool is_empty(const Dims& dims) {
  return std::find(dims.begin(), dims.end(), hsize_t{0}) != dims.end();
}

/// Opens a table whose every value stands in the file, once and as it is.
Handle open_table(hid_t parent, const std::string& name, const Dims& dims, const std::string& source) {
  Handle set = open_dataset(parent, name, source);
  const Dims found = dims_of(set.id(), source);
  REGATTA_REQUIRE(found == dims, DataError, source, ": ", name, ": shape [", join(found, ","), "], [", join(dims, ","),
                  "] expected");
  const Handle plist(H5Dget_create_plist(set.id()), H5Pclose);
  const H5D_layout_t stored_as = H5Pget_layout(plist.id());
  REGATTA_REQUIRE((stored_as == H5D_CONTIGUOUS || stored_as == H5D_COMPACT) && H5Pget_external_count(plist.id()) == 0,
                  DataError, source, ": ", name, ": a plain, uncompressed dataset expected");
  const Handle type(H5Dget_type(set.id()), H5Tclose);
  hsize_t bytes = H5Tget_size(type.id());
  for (const hsize_t n : dims) {
    bytes *= n;  // below 2^64: callers limit the dimensions
  }
  REGATTA_REQUIRE(H5Dget_storage_size(set.id()) >= bytes, DataError, source, ": ", name, ": shape [", join(dims, ","),
                  "], ", H5Dget_storage_size(set.id()), " bytes stored, ", bytes, " expected");
  return set;
}

/// Bytes of the numbers of a dataset as they are stored, at most.
hsize_t most_stored_bytes(hid_t set, const std::string& name, const std::string& source) {
  const Handle plist(H5Dget_create_plist(set), H5Pclose);
  REGATTA_REQUIRE(H5Pget_external_count(plist.id()) == 0, DataError, source, ": ", name, ": stored in another file");
  hsize_t most = H5Dget_storage_size(set);
  for (int filter = 0; filter < H5Pget_nfilters(plist.id()); ++filter) {
    unsigned flags = 0;
    unsigned config = 0;
    std::size_t values = 0;
    const H5Z_filter_t id =
        H5Pget_filter2(plist.id(), static_cast<unsigned>(filter), &flags, &values, nullptr, 0, nullptr, &config);
    REGATTA_REQUIRE(id == H5Z_FILTER_DEFLATE || id == H5Z_FILTER_SHUFFLE || id == H5Z_FILTER_FLETCHER32, DataError,
                    source, ": ", name, ": filter ", int{id}, " of HDF5, none or deflate expected");
    most *= id == H5Z_FILTER_DEFLATE ? kLargestDeflateRatio : 1;
  }
  return most;
}

template <class T>
void read_whole_vector(hid_t parent, const std::string& name, std::vector<T>& out, const std::string& source) {
  const Handle set = open_dataset(parent, name, source);
  const Dims dims = dims_of(set.id(), source);
  REGATTA_REQUIRE(dims.size() == 1, DataError, source, ": ", name, ": ", dims.size(), " dimensions, one expected");
  const Handle stored(H5Dget_type(set.id()), H5Tclose);
  const H5T_class_t kind = H5Tget_class(stored.id());
  REGATTA_REQUIRE((kind == H5T_INTEGER || kind == H5T_FLOAT) && H5Tget_size(stored.id()) <= 8, DataError, source, ": ",
                  name, ": numbers of at most 64 bits expected");
  const hsize_t most = most_stored_bytes(set.id(), name, source);
  REGATTA_REQUIRE(dims[0] <= most / H5Tget_size(stored.id()), DataError, source, ": ", name, ": ", dims[0],
                  " numbers, the file holds ", H5Dget_storage_size(set.id()), " bytes of them");
  out.resize(dims[0]);
  if (!out.empty()) {
    REGATTA_H5(H5Dread(set.id(), type_id<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()), source, "read " + name);
  }
}

int descriptor_of(hid_t object, const std::string& source) {
  const Handle file(REGATTA_H5(H5Iget_file_id(object), source, "find the file"), H5Fclose);
  void* descriptor = nullptr;
  REGATTA_H5(H5Fget_vfd_handle(file.id(), H5P_DEFAULT, &descriptor), source, "find the file");
  return *static_cast<int*>(descriptor);
}

/// Only variable-length strings are read into pointers; anything else in that place would be read as addresses.
void require_string_type(hid_t type, const std::string& name, const std::string& source) {
  REGATTA_REQUIRE(H5Tis_variable_str(type) > 0, DataError, source, ": ", name, ": expected variable-length strings");
}

/// HDF5 trusts what a string's record says: it makes room for its length before it looks for the string, and takes its
/// place in a heap from an unchecked index. So the records are read as they stand in the file, and checked first.
/// @param most  bytes that the strings may have together
void require_sound(const std::vector<StringRecord>& records, hid_t object, std::uint64_t most, const std::string& name,
                   const std::string& source) {
  const std::string fault = fault_of(records, descriptor_of(object, source), most);
  REGATTA_REQUIRE(fault.empty(), DataError, source, ": ", name, ": ", fault);
}

std::vector<StringRecord> records_of_table(hid_t set, std::size_t count, const std::string& name,
                                           const std::string& source) {
  const haddr_t offset = H5Dget_offset(set);
  const auto records = offset == HADDR_UNDEF || H5Dget_storage_size(set) != count * kStringRecordBytes
                           ? std::vector<StringRecord>{}
                           : read_string_records(descriptor_of(set, source), offset, count);
  REGATTA_REQUIRE(records.size() == count, DataError, source, ": ", name, ": a plain table of ", count,
                  " strings expected");
  return records;
}

}  // namespace

std::string last_error() {
  std::string text = "unknown reason";
  const auto keep_first = [](unsigned index, const H5E_error2_t* error, void* out) -> herr_t {
    if (index == 0 && error->desc != nullptr) {
      *static_cast<std::string*>(out) = error->desc;
    }
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &text);
  return one_line(text);
}

void quiet() {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

std::mutex& library_mutex() {
  static std::mutex mutex;
  return mutex;
}

template <>
hid_t type_id<std::uint8_t>() {
  return H5T_STD_U8LE;
}

template <>
hid_t type_id<float>() {
  return H5T_IEEE_F32LE;
}

template <>
hid_t type_id<double>() {
  return H5T_IEEE_F64LE;
}

template <>
hid_t type_id<std::int32_t>() {
  return H5T_STD_I32LE;
}

template <>
hid_t type_id<std::int64_t>() {
  return H5T_STD_I64LE;
}

template <>
hid_t type_id<std::uint64_t>() {
  return H5T_STD_U64LE;
}

Handle string_type() {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), H5T_VARIABLE);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

Handle create_group(hid_t parent, const std::string& name, const std::string& source) {
  return {REGATTA_H5(H5Gcreate2(parent, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), source,
                     "make the group " + name),
          H5Gclose};
}

bool exists(hid_t parent, const std::string& name) {
  return H5Lexists(parent, name.c_str(), H5P_DEFAULT) > 0;
}

void write_numbers(hid_t parent, const std::string& name, hid_t type, const Dims& dims, const void* data,
                   const std::string& source) {
  const Handle space = make_space(dims, source);
  const Handle set(REGATTA_H5(H5Dcreate2(parent, name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                              source, "make the dataset " + name),
                   H5Dclose);
  if (!is_empty(dims)) {
    REGATTA_H5(H5Dwrite(set.id(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), source, "write " + name);
  }
}

void write_strings(hid_t parent, const std::string& name, const std::vector<std::string>& values,
                   const std::string& source) {
  std::vector<const char*> raw;
  raw.reserve(values.size());
  for (const std::string& value : values) {
    raw.push_back(value.c_str());
  }
  const Handle type = string_type();
  write_numbers(parent, name, type.id(), {values.size()}, raw.data(), source);
}

void write_attribute(hid_t parent, const std::string& name, const std::string& value, const std::string& source) {
  const Handle type = string_type();
  const char* raw = value.c_str();
  write_attribute(parent, name, type.id(), 1, static_cast<const void*>(&raw), source);
}

void write_attribute(hid_t parent, const std::string& name, hid_t type, std::size_t count, const void* data,
                     const std::string& source) {
  const Handle space = make_space(count == 1 ? Dims{} : Dims{count}, source);
  const Handle attribute(REGATTA_H5(H5Acreate2(parent, name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT),
                                    source, "make the attribute " + name),
                         H5Aclose);
  REGATTA_H5(H5Awrite(attribute.id(), type, data), source, "write the attribute " + name);
}

void read_attribute(hid_t parent, const std::string& name, hid_t type, std::size_t count, void* data,
                    const std::string& source) {
  const Handle attribute(REGATTA_H5(H5Aopen(parent, name.c_str(), H5P_DEFAULT), source, "open the attribute " + name),
                         H5Aclose);
  const Handle space(H5Aget_space(attribute.id()), H5Sclose);
  REGATTA_REQUIRE(H5Sget_simple_extent_npoints(space.id()) == static_cast<hssize_t>(count), DataError, source,
                  ": attribute ", name, ": ", H5Sget_simple_extent_npoints(space.id()), " values, ", count,
                  " expected");
  const Handle stored(H5Aget_type(attribute.id()), H5Tclose);
  REGATTA_REQUIRE(H5Tget_size(stored.id()) <= 16, DataError, source, ": attribute ", name, ": values of ",
                  H5Tget_size(stored.id()), " bytes, numbers of at most 64 bits expected");  // 16: strings
  REGATTA_H5(H5Aread(attribute.id(), type, data), source, "read the attribute " + name);
}

std::string read_string_attribute(hid_t parent, const std::string& name, const std::string& source) {
  const Handle attribute(REGATTA_H5(H5Aopen(parent, name.c_str(), H5P_DEFAULT), source, "open the attribute " + name),
                         H5Aclose);
  const Handle stored(H5Aget_type(attribute.id()), H5Tclose);
  require_string_type(stored.id(), "attribute " + name, source);
  H5O_info_t info{};
  REGATTA_H5(H5Oget_info(parent, &info), source, "find the attribute " + name);
  const std::optional<StringRecord> record = read_attribute_record(descriptor_of(parent, source), info.addr, name);
  REGATTA_REQUIRE(record.has_value(), DataError, source, ": attribute ", name, ": a plain string expected");
  require_sound({*record}, parent, file_bytes(parent, source), "attribute " + name, source);
  const Handle type = string_type();
  std::vector<char*> raw(1, nullptr);
  read_attribute(parent, name, type.id(), 1, static_cast<void*>(raw.data()), source);
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  return take_strings(raw, type.id(), space.id()).front();
}

Handle open_group(hid_t parent, const std::string& name, const std::string& source) {
  require_own(parent, name, source);
  return {REGATTA_H5(H5Gopen2(parent, name.c_str(), H5P_DEFAULT), source, "open the group " + name), H5Gclose};
}

Handle open_dataset(hid_t parent, const std::string& name, const std::string& source) {
  require_own(parent, name, source);
  return {REGATTA_H5(H5Dopen2(parent, name.c_str(), H5P_DEFAULT), source, "open the dataset " + name), H5Dclose};
}

Dims dims_of(hid_t dataset, const std::string& source) {
  const Handle space(REGATTA_H5(H5Dget_space(dataset), source, "read a data space"), H5Sclose);
  const int rank = REGATTA_H5(H5Sget_simple_extent_ndims(space.id()), source, "read a data space");
  Dims dims(static_cast<std::size_t>(rank));
  if (rank > 0) {
    H5Sget_simple_extent_dims(space.id(), dims.data(), nullptr);
  }
  return dims;
}

std::uint64_t file_bytes(hid_t object, const std::string& source) {
  const Handle file(REGATTA_H5(H5Iget_file_id(object), source, "find the file"), H5Fclose);
  hsize_t bytes = 0;
  REGATTA_H5(H5Fget_filesize(file.id(), &bytes), source, "read the file's size");
  return bytes;
}

void read_numbers(hid_t parent, const std::string& name, hid_t type, const Dims& dims, void* data,
                  const std::string& source) {
  const Handle set = open_table(parent, name, dims, source);
  const Handle stored(H5Dget_type(set.id()), H5Tclose);
  const H5T_class_t kind = H5Tget_class(stored.id());
  REGATTA_REQUIRE((kind == H5T_INTEGER || kind == H5T_FLOAT) && H5Tget_size(stored.id()) <= 8, DataError, source, ": ",
                  name, ": numbers of at most 64 bits expected");
  if (!is_empty(dims)) {
    REGATTA_H5(H5Dread(set.id(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), source, "read " + name);
  }
}

Handle open_to_read(const std::filesystem::path& path) {
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(access.id(), false, true);
#endif
  return {REGATTA_H5(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()), path.string(), "open"), H5Fclose};
}

void read_vector(hid_t parent, const std::string& name, std::vector<float>& out, const std::string& source) {
  read_whole_vector(parent, name, out, source);
}

void read_vector(hid_t parent, const std::string& name, std::vector<double>& out, const std::string& source) {
  read_whole_vector(parent, name, out, source);
}

std::vector<std::string> read_strings(hid_t parent, const std::string& name, std::size_t count,
                                      const std::string& source) {
  if (count == 0) {
    return {};
  }
  const Handle set = open_table(parent, name, {count}, source);
  const Handle stored(H5Dget_type(set.id()), H5Tclose);
  require_string_type(stored.id(), name, source);
  const Handle type = string_type();
  H5Tset_cset(type.id(), H5Tget_cset(stored.id()));  // HDF5 converts no character sets
  const hsize_t points = count;
  const Handle space(H5Screate_simple(1, &points, nullptr), H5Sclose);
  require_sound(records_of_table(set.id(), count, name, source), parent, file_bytes(parent, source), name, source);
  std::vector<char*> raw(count, nullptr);
  const herr_t done = H5Dread(set.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, static_cast<void*>(raw.data()));
  const std::string reason = done < 0 ? last_error() : "";
  std::vector<std::string> out = take_strings(raw, type.id(), space.id());  // frees them even if some are missing
  REGATTA_REQUIRE(done >= 0, DataError, source, ": cannot read ", name, ": ", reason);
  return out;
}

}  // namespace regatta::h5
