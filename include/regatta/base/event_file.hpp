// Event files that TensorBoard reads: scalars over steps, as TFRecords (length and content each with a masked CRC-32C)
// of the protocol buffer `Event`. Only what scalars need; no TensorFlow, no protobuf.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regatta {

/// Castagnoli's CRC, as in iSCSI: "123456789" gives 0xe3069283.
std::uint32_t crc32c(std::string_view data);

/// One TFRecord: length, its checksum, content, its checksum.
std::string tf_record(std::string_view content);

/// The first record of a file, which names the version of its format.
std::string event_file_start(double wall_s);

/// Tag and value: "validation/dice", 0.71.
using Scalars = std::vector<std::pair<std::string, double>>;

/// Values of one step as a record. Values are stored as float32.
/// @param wall_s  seconds since 1970
std::string scalar_event(double wall_s, std::int64_t step, const Scalars& scalars);

}  // namespace regatta
