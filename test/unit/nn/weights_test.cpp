// Safetensors files: what is written is read back; what is broken is refused with the file's name.
#include <cstring>
#include <fstream>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/weights.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"
#include "support/temporary_folder.hpp"

namespace regatta::test {
namespace {

NamedTensors sample_tensors() {
  return {{"a.weight", at::arange(24, at::TensorOptions().dtype(at::kFloat)).view({2, 3, 4})},
          {"a.bias", at::ones({3}, at::TensorOptions().dtype(at::kDouble))},
          {"odd", at::ones({5}, at::TensorOptions().dtype(at::kByte))},
          {"step", at::arange(1, at::TensorOptions().dtype(at::kLong)).view({})},
          {"empty", at::empty({0, 4}, at::TensorOptions().dtype(at::kFloat))},
          {"half", at::ones({2}, at::TensorOptions().dtype(at::kHalf))},
          {"flag", at::ones({2}, at::TensorOptions().dtype(at::kBool))}};
}

/// A file with a given header text and data, as another program might write it.
std::string file_text(const std::string& header, const std::string& data) {
  std::string length(8, '\0');
  const std::uint64_t bytes = header.size();
  std::memcpy(length.data(), &bytes, 8);
  return length + header + data;
}

/// The message of the refusal.
std::string refusal(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;  // hundreds of files: without fsync
  try {
    read_safetensors(path);
  } catch (const DataError& error) {
    return error.what();
  }
  return "accepted";
}

std::string entry(const std::string& name, int begin, int end) {
  return "\"" + name + R"(":{"dtype":"F32","shape":[)" + std::to_string((end - begin) / 4) + R"(],"data_offsets":[)" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

}  // namespace

TEST_CASE("tensors of every type and metadata survive a round trip") {
  const TemporaryFolder folder;
  const auto path = folder / "w.safetensors";
  const NamedTensors tensors = sample_tensors();
  write_safetensors(path, tensors, {{"step", "12"}, {"note", "a \"quoted\" text"}});
  const SafetensorsFile file = read_safetensors(path);
  REQUIRE(file.tensors.size() == tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    INFO(tensors[i].first);
    CHECK(file.tensors[i].first == tensors[i].first);
    CHECK(file.tensors[i].second.scalar_type() == tensors[i].second.scalar_type());
    CHECK(file.tensors[i].second.equal(tensors[i].second));
  }
  CHECK(file.metadata == std::map<std::string, std::string>{{"step", "12"}, {"note", "a \"quoted\" text"}});
}

TEST_CASE("a tensor in another memory layout is written in the plain order") {
  const TemporaryFolder folder;
  const at::Tensor plain = noise(2, 3, 4, 1);
  write_safetensors(folder / "w",
                    {{"x", plain.transpose(2, 4)}, {"y", plain.contiguous(at::MemoryFormat::ChannelsLast3d)}}, {});
  const SafetensorsFile file = read_safetensors(folder / "w");
  CHECK(file.tensors[0].second.equal(plain.transpose(2, 4)));
  CHECK(file.tensors[1].second.equal(plain));
}

TEST_CASE("the same tensors give the same bytes, and the data starts at a multiple of 8") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", sample_tensors(), {{"k", "v"}});
  write_safetensors(folder / "b", sample_tensors(), {{"k", "v"}});
  const std::string text = read_file(folder / "a");
  CHECK(text == read_file(folder / "b"));
  std::uint64_t length = 0;
  std::memcpy(&length, text.data(), 8);
  CHECK(length % 8 == 0);
}

TEST_CASE("a file cut at any length is refused with its name") {
  const TemporaryFolder folder;
  write_safetensors(folder / "whole", sample_tensors(), {});
  const std::string text = read_file(folder / "whole");
  for (std::size_t length = 0; length < text.size(); length += length < 16 ? 1 : 7) {
    INFO("length " << length);
    const std::string message = refusal(folder / "cut", text.substr(0, length));
    CHECK(message.find("cut: ") != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
  }
  CHECK(refusal(folder / "cut", text.substr(0, text.size() - 1)) != "accepted");
  CHECK(refusal(folder / "long", text + "x") != "accepted");
}

TEST_CASE("any flipped bit is noticed") {
  const TemporaryFolder folder;
  write_safetensors(folder / "whole", sample_tensors(), {{"step", "12"}});
  const std::string text = read_file(folder / "whole");
  for (std::size_t byte = 0; byte < text.size(); ++byte) {
    const int bit = static_cast<int>(byte * 5 % 8);
    std::string flipped = text;
    flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
    if (flipped[byte] == '\t' || flipped[byte] == '\n' || flipped[byte] == '\r') {
      continue;  // a blank of the padding that became another blank
    }
    INFO("byte " << byte << " of " << text.size() << " bit " << bit);
    CHECK(refusal(folder / "flipped", flipped) != "accepted");
  }
}

TEST_CASE("a flipped bit of data names the tensor") {
  const TemporaryFolder folder;
  write_safetensors(folder / "whole", {{"first", at::zeros({4})}, {"second", at::zeros({4})}}, {});
  std::string text = read_file(folder / "whole");
  text[text.size() - 3] = '\1';
  CHECK_THAT(refusal(folder / "w", text), Catch::Contains("w: tensor 'second' does not match its checksum"));
}

TEST_CASE("headers that lie are refused, each with its own line") {
  const TemporaryFolder folder;
  const auto path = folder / "w";
  const std::string data(32, '\0');
  const auto said = [&](const std::string& header) { return refusal(path, file_text(header, data)); };
  CHECK(said("{" + entry("a", 0, 16) + "," + entry("b", 16, 32) + "}") == "accepted");
  CHECK_THAT(said("{" + entry("a", 0, 16) + "," + entry("b", 8, 32) + "}"), Catch::Contains("'b' starts at byte 8"));
  CHECK_THAT(said("{" + entry("a", 0, 12) + "," + entry("b", 16, 32) + "}"), Catch::Contains("'b' starts at byte 16"));
  CHECK_THAT(said("{" + entry("a", 0, 16) + "}"), Catch::Contains("end at byte 16 of 32"));
  CHECK_THAT(said("{" + entry("a", 0, 64) + "}"), Catch::Contains("bytes 0..64 are outside the 32 bytes"));
  CHECK_THAT(said("{" + entry("a", 0, 16) + "," + entry("a", 16, 32) + "}"), Catch::Contains("key 'a' stands twice"));
  CHECK_THAT(said(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,32]}})"), Catch::Contains("has 12 bytes"));
  CHECK_THAT(said(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})"),
             Catch::Contains("needs more bytes than the file has"));
  CHECK_THAT(said(R"({"a":{"dtype":"F32","shape":[-8],"data_offsets":[0,32]}})"),
             Catch::Contains("expected a whole number"));
  CHECK_THAT(said(R"({"a":{"dtype":"F32","shape":[8.0],"data_offsets":[0,32]}})"),
             Catch::Contains("expected a whole number"));
  CHECK_THAT(said(R"({"a":{"dtype":"F4","shape":[8],"data_offsets":[0,32]}})"),
             Catch::Contains("type \"F4\" is not supported"));
  CHECK_THAT(said(R"({"a":{"dtype":"F32","shape":[8]}})"), Catch::Contains("no 'data_offsets'"));
  CHECK_THAT(said(R"({"a":{"dtype":"F32","shape":[8],"data_offsets":[32,0]}})"), Catch::Contains("outside"));
  CHECK_THAT(said(R"({"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]},"__metadata__":{"k":1}})"),
             Catch::Contains("metadata 'k' is not a text"));
  CHECK_THAT(said("[1, 2]"), Catch::Contains("not a JSON object"));
  CHECK_THAT(said(std::string(300, '[')), Catch::Contains("header"));
  std::string huge(8, '\0');
  huge[7] = '\x7f';
  CHECK_THAT(refusal(path, huge + data), Catch::Contains("at most 100000000 allowed"));
}

TEST_CASE("a network's weights come back into another instance of it, bit for bit") {
  const TemporaryFolder folder;
  const auto model = make_model("voxelmorph-1", Json::object());
  model->parameters().initialise(3);
  NamedTensors tensors;
  for (const Parameter& parameter : model->parameters().items()) {
    tensors.emplace_back(parameter.name, parameter.value);
  }
  tensors.emplace_back("transformer.grid", at::zeros({1, 3, 2, 2, 2}));
  write_safetensors(folder / "w", tensors, {});
  const SafetensorsFile file = read_safetensors(folder / "w");
  const auto other = make_model("voxelmorph-1", Json::object());
  CHECK_THROWS_WITH(load_parameters(other->parameters(), file, "w"),
                    "w: 'transformer.grid' is not a parameter of this network");
  load_parameters(other->parameters(), file, "w", {"transformer."});
  for (std::size_t i = 0; i < other->parameters().items().size(); ++i) {
    CHECK(other->parameters().items()[i].value.equal(model->parameters().items()[i].value));
  }
}

TEST_CASE("weights that do not fit are listed in one line and change nothing") {
  Parameters parameters;
  const at::Tensor a = parameters.add("a", {2}, Init::constant(1.0));
  parameters.add("b", {2, 2}, Init::constant(1.0));
  parameters.add("c", {1}, Init::constant(1.0));
  parameters.add("d", {1}, Init::constant(1.0));
  SafetensorsFile file;
  file.tensors = {{"a", at::ones({2})},
                  {"b", at::ones({4})},
                  {"d", at::ones({1}, at::TensorOptions().dtype(at::kLong))},
                  {"e", at::ones({1})}};
  CHECK_THROWS_WITH(load_parameters(parameters, file, "x.safetensors"),
                    "x.safetensors: 'b' is [4], expected [2, 2]; 'c' is missing; 'd' is Long, expected Float; "
                    "'e' is not a parameter of this network");
  CHECK(a.eq(0.0).all().item<bool>());
}

TEST_CASE("a missing weights file is a data error with its path") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(read_safetensors(folder / "none"), DataError);
}

}  // namespace regatta::test
