// Variable-length strings of HDF5 files as they stand in the file: a record names the string's length, the heap that it
// lies in and its index there. HDF5 1.10 follows records without looking at them, so damaged ones would end the
// program. Read from the bytes alone, with every length checked. Format: HDF5 File Format Specification 3.0, III.E
// (global heap), IV.A.1.a (object header, version 1) and IV.A.2.m (attribute message).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace regatta::h5 {

/// In files with 64-bit addresses; others are refused by their size.
constexpr std::size_t kStringRecordBytes = 16;

struct StringRecord {
  std::uint32_t length = 0;  ///< bytes of the string
  std::uint64_t heap = 0;    ///< offset of its heap in the file; 0: no string
  std::uint32_t index = 0;   ///< in the heap
};

/// `count` records from `offset` on; fewer, or none, where the file ends before.
std::vector<StringRecord> read_string_records(int descriptor, std::uint64_t offset, std::size_t count);

/// The record of a string attribute.
/// @param header  offset of the object's header in the file
/// @return nothing unless the header, in its oldest form, holds an attribute of that name with one string
std::optional<StringRecord> read_attribute_record(int descriptor, std::uint64_t header, const std::string& name);

/// Why the records cannot be followed, or "".
/// @param most  bytes that the strings may have together, and a heap at most
std::string fault_of(const std::vector<StringRecord>& records, int descriptor, std::uint64_t most);

}  // namespace regatta::h5
