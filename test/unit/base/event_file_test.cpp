// TFRecords and their checksums; the reader of TensorBoard itself is in test/interop/check_export.py.
#include "regatta/base/event_file.hpp"

#include "support/catch.hpp"

namespace regatta::test {

TEST_CASE("CRC-32C is that of iSCSI") {
  CHECK(crc32c("123456789") == 0xe3069283U);  // RFC 3720, and below its all-zero example
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aaU);
  CHECK(crc32c("") == 0U);
}

TEST_CASE("a record is its length, the length's checksum, the content and its checksum") {
  const std::string record = tf_record("abc");
  REQUIRE(record.size() == 8 + 4 + 3 + 4);
  CHECK(record.substr(0, 8) == std::string("\x03\0\0\0\0\0\0\0", 8));
  CHECK(record.substr(12, 3) == "abc");
  CHECK(tf_record("abd").substr(15) != record.substr(15));
  CHECK(tf_record("abd").substr(0, 12) == record.substr(0, 12));
}

TEST_CASE("an event of scalars holds its time, step, tags and values") {
  const std::string start = event_file_start(2.0);
  CHECK(start.find("brain.Event:2") != std::string::npos);
  CHECK(start.find(std::string("\x09\0\0\0\0\0\0\0\x40", 9)) == 12);  // field 1, the double 2.0
  const std::string event = scalar_event(2.0, 300, {{"validation/dice", 0.5}, {"lr", 1.0}});
  CHECK(event.find(std::string("\x10\xac\x02", 3)) != std::string::npos);  // field 2, the varint 300
  CHECK(event.find(std::string("\x0a\x0fvalidation/dice\x15\0\0\0\x3f", 22)) != std::string::npos);
  CHECK(event.find(std::string("\x0a\x02lr\x15\0\0\x80\x3f", 9)) != std::string::npos);
}

}  // namespace regatta::test
