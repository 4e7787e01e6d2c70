// Volumes of an archive: each is one chunk of its dataset. Chunks are read raw and inflated here, because HDF5's own
// filter continues for as long as the compressed bytes do, however small the volume is; and deflated here, because that
// filter has one thread. Whatever reads HDF5 reads them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "volume/archive/h5.hpp"

namespace regatta::h5 {

/// @param chunk  shape of one volume in the dataset's axes: [1, C, D, H, W]
/// @throws DataError unless each volume is one chunk, stored as it is or with the shuffle and deflate filters, and the
///         file can hold as many chunks as there are
void require_volume_chunks(hid_t set, const Dims& chunk, std::size_t value_bytes, const std::string& name,
                           const std::string& source);

/// Reads the chunk that begins at `start`, of a dataset that `require_volume_chunks` has accepted and whose values the
/// machine stores in the same way.
/// @param out  as many bytes as a chunk
/// @param label  what is done, for messages: "read the image of 'p7'"
void read_volume_chunk(hid_t set, const Dims& start, std::size_t value_bytes, std::span<std::byte> out,
                       const std::string& source, const std::string& label);

/// A volume as the shuffle and deflate filters store it, made in pieces by several threads.
/// @param level  zlib's, 1..9
/// @return empty if that is not shorter, or there is no memory for it
std::vector<std::byte> deflate_volume(std::span<const std::byte> values, std::size_t value_bytes, int level,
                                      int threads);

/// Writes the chunk that begins at `start`. H5Dwrite would copy it into new memory first.
/// @param deflated  of `deflate_volume`; empty: the values are written as they are
void write_volume_chunk(hid_t set, const Dims& start, std::span<const std::byte> values,
                        std::span<const std::byte> deflated, const std::string& source);

}  // namespace regatta::h5
