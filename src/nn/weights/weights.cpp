// Tensors in and out of safetensors files, and into a network's parameters.
#include "regatta/nn/weights.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "nn/shapes.hpp"
#include "nn/weights/safetensors_header.hpp"
#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/listed_error.hpp"

namespace regatta {
namespace {

constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 40;

constexpr std::array<std::pair<at::ScalarType, const char*>, 10> kTypes = {{{at::kDouble, "F64"},
                                                                            {at::kFloat, "F32"},
                                                                            {at::kHalf, "F16"},
                                                                            {at::kBFloat16, "BF16"},
                                                                            {at::kLong, "I64"},
                                                                            {at::kInt, "I32"},
                                                                            {at::kShort, "I16"},
                                                                            {at::kChar, "I8"},
                                                                            {at::kByte, "U8"},
                                                                            {at::kBool, "BOOL"}}};

at::ScalarType type_from_name(const std::string& name) {
  for (const auto& [type, text] : kTypes) {
    if (name == text) {
      return type;
    }
  }
  throw BugError(str("safetensors type ", name, " passed the header's check"));
}

std::string_view bytes_of(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

/// Every tensor against its checksum. A file with checksums must have one for each tensor and none besides.
void check_checksums(const SafetensorsFile& file, const std::string& source) {
  std::map<std::string, std::string> expected;
  for (const auto& [key, value] : file.metadata) {
    if (key.starts_with(kChecksumPrefix)) {
      expected[key.substr(std::strlen(kChecksumPrefix))] = value;
    }
  }
  if (expected.empty()) {
    return;  // written by another program
  }
  for (const auto& [name, tensor] : file.tensors) {
    const auto found = expected.find(name);
    REGATTA_REQUIRE(found != expected.end(), DataError, source, ": tensor '", one_line(name, 80), "' has no checksum");
    REGATTA_REQUIRE(found->second == xxh3_text(bytes_of(tensor)), DataError, source, ": tensor '", one_line(name, 80),
                    "' does not match its checksum");
    expected.erase(found);
  }
  REGATTA_REQUIRE(expected.empty(), DataError, source, ": tensor '", one_line(expected.begin()->first, 80),
                  "' has a checksum but is not there");
}

at::Tensor copy_out(const TensorEntry& entry, const char* data, const std::string& source) {
  at::Tensor tensor = at::empty(entry.shape, at::TensorOptions().dtype(type_from_name(entry.type)));
  if (tensor.nbytes() > 0) {
    const char* values = data + entry.begin;
    const bool only_bits = tensor.scalar_type() != at::kBool ||
                           std::all_of(values, values + tensor.nbytes(), [](char c) { return c == 0 || c == 1; });
    REGATTA_REQUIRE(only_bits, DataError, source, ": tensor '", one_line(entry.name, 80),
                    "' is BOOL and has a byte that is neither 0 nor 1");
    std::memcpy(tensor.mutable_data_ptr(), values, tensor.nbytes());
  }
  return tensor;
}

/// True where a copy into the parameter loses nothing: files may keep weights in half the bytes.
bool widens(const at::Tensor& found, const at::Tensor& parameter) {
  return parameter.scalar_type() == at::kFloat &&
         (found.scalar_type() == at::kHalf || found.scalar_type() == at::kBFloat16);
}

/// What is wrong between a parameter and the file's tensor of its name; empty if nothing.
std::string mismatch(const Parameter& parameter, const at::Tensor* found) {
  if (found == nullptr) {
    return str("'", parameter.name, "' is missing");
  }
  if (found->sizes() != parameter.value.sizes()) {
    return str("'", parameter.name, "' is ", shape_text(*found), ", expected ", shape_text(parameter.value));
  }
  if (found->scalar_type() != parameter.value.scalar_type() && !widens(*found, parameter.value)) {
    return str("'", parameter.name, "' is ", c10::toString(found->scalar_type()), ", expected ",
               c10::toString(parameter.value.scalar_type()));
  }
  return "";
}

/// Other programs' files are told by their first bytes, and what to do with them.
void refuse_other_formats(const std::string& bytes, const std::string& source) {
  const auto starts = [&](std::string_view magic) { return std::string_view(bytes).starts_with(magic); };
  const bool torch = starts("PK\x03\x04") || starts("\x80\x02\x8a\x0a");  // its zip archives, its older pickles
  const std::string name = std::filesystem::path(source).filename().string();
  REGATTA_REQUIRE(!torch, DataError, source,
                  ": saved by PyTorch, which this program does not read; first make safetensors of it: "
                  "python3 tools/pth_to_safetensors.py ",
                  name, " OUT.safetensors");
  REGATTA_REQUIRE(!starts("\x89HDF\r\n\x1a\n"), DataError, source,
                  ": HDF5 (an archive of `regatta pack`, or weights of Keras), weights as safetensors expected");
}

using NamedPointers = std::map<std::string, const at::Tensor*>;

/// What would make most of the missing names fit: a prefix that the file's names have, or lack. Empty if nothing would.
std::string prefix_hint(const std::vector<std::string>& missing, const NamedPointers& surplus) {
  if (missing.empty() || surplus.empty()) {
    return "";
  }
  const auto fits = [&](const std::string& from, const std::string& to) {  // surplus names, FROM replaced by TO
    const auto count = std::count_if(missing.begin(), missing.end(), [&](const std::string& name) {
      return name.starts_with(to) && surplus.contains(from + name.substr(to.size()));
    });
    return 2 * static_cast<std::size_t>(count) > missing.size();
  };
  for (const auto& [name, tensor] : surplus) {
    const std::string& wanted = missing.front();
    if (name.size() > wanted.size() && name.ends_with(wanted)) {
      const std::string prefix = name.substr(0, name.size() - wanted.size());
      if (fits(prefix, "")) {
        return str("the names begin with '", one_line(prefix, 80), "': regatta convert edit --rename ", prefix, "=");
      }
    }
    if (name.size() < wanted.size() && wanted.ends_with(name)) {
      const std::string prefix = wanted.substr(0, wanted.size() - name.size());
      if (fits("", prefix)) {
        return str("the names lack '", prefix, "' in front: regatta convert edit --rename =", prefix);
      }
    }
  }
  return "";
}

}  // namespace

const char* safetensors_type(const at::Tensor& tensor, const std::string& name) {
  for (const auto& [type, text] : kTypes) {
    if (tensor.scalar_type() == type) {
      return text;
    }
  }
  throw BugError(str("tensor '", name, "': type ", c10::toString(tensor.scalar_type()), " has no safetensors name"));
}

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  SafetensorsHeader header;
  header.metadata = metadata;
  std::vector<at::Tensor> host;
  std::set<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    REGATTA_REQUIRE(names.insert(name).second, BugError, path.string(), ": tensor '", name, "' is written twice");
    host.push_back(tensor.detach().cpu().contiguous());
    const std::uint64_t begin = header.entries.empty() ? 0 : header.entries.back().end;
    header.entries.push_back(
        {name, safetensors_type(tensor, name), tensor.sizes().vec(), begin, begin + host.back().nbytes()});
    header.metadata[kChecksumPrefix + name] = xxh3_text(bytes_of(host.back()));
  }
  const std::string head = encode_header(header);
  retry_passing_errors([&] {
    AtomicFile file(path);
    file.write(head);
    for (const at::Tensor& tensor : host) {
      file.write(tensor.const_data_ptr(), tensor.nbytes());
    }
    file.commit();
  });
}

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  const std::string source = path.string();
  const std::string bytes = read_file(path, kLargestFile);
  refuse_other_formats(bytes, source);
  std::size_t data_start = 0;
  SafetensorsHeader header = decode_header(bytes, source, data_start);
  SafetensorsFile file;
  file.xxh3 = xxh3_text(bytes);
  for (const TensorEntry& entry : header.entries) {
    file.tensors.emplace_back(entry.name, copy_out(entry, bytes.data() + data_start, source));
  }
  file.metadata = std::move(header.metadata);
  check_checksums(file, source);
  std::erase_if(file.metadata, [](const auto& item) { return item.first.starts_with(kChecksumPrefix); });
  return file;
}

void check_parameters(const Parameters& parameters, const SafetensorsFile& file, const std::string& source,
                      const std::vector<std::string>& ignored_prefixes) {
  NamedPointers unused;
  for (const auto& [name, tensor] : file.tensors) {
    unused[name] = &tensor;
  }
  std::vector<std::string> faults;
  std::vector<std::string> missing;
  for (const Parameter& parameter : parameters.items()) {
    const auto found = unused.find(parameter.name);
    if (found == unused.end()) {
      missing.push_back(parameter.name);
    }
    if (std::string fault = mismatch(parameter, found == unused.end() ? nullptr : found->second); !fault.empty()) {
      faults.push_back(std::move(fault));
    }
    unused.erase(parameter.name);
  }
  std::erase_if(unused, [&](const auto& item) {
    return std::any_of(ignored_prefixes.begin(), ignored_prefixes.end(),
                       [&](const std::string& prefix) { return item.first.starts_with(prefix); });
  });
  for (const auto& [name, tensor] : unused) {
    faults.push_back(str("'", one_line(name, 80), "' is not a parameter of this network"));
  }
  if (faults.empty()) {
    return;
  }
  if (std::string hint = prefix_hint(missing, unused); !hint.empty()) {
    faults.insert(faults.begin(), std::move(hint));
  }
  throw ListedError(source, faults);
}

std::string load_parameters(Parameters& parameters, const SafetensorsFile& file, const std::string& source,
                            const std::vector<std::string>& ignored_prefixes) {
  check_parameters(parameters, file, source, ignored_prefixes);
  std::map<std::string, at::Tensor> values;
  for (const Parameter& parameter : parameters.items()) {
    values[parameter.name] = parameter.value;
  }
  std::map<std::string, std::int64_t> converted;  // by type
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : file.tensors) {
    if (const auto found = values.find(name); found != values.end()) {
      found->second.copy_(tensor);
      converted[safetensors_type(tensor, name)] += tensor.scalar_type() == found->second.scalar_type() ? 0 : 1;
    }
  }
  std::vector<std::string> notes;
  for (const auto& [type, count] : converted) {
    if (count > 0) {
      notes.push_back(str(count, " tensors from ", type, " to F32"));
    }
  }
  return join(notes, ", ");
}

}  // namespace regatta
