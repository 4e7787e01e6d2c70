#include "regatta/nn/weight_edit.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

#include <ATen/ops/isfinite.h>

#include "nn/layers/conv.hpp"
#include "nn/shapes.hpp"
#include "regatta/base/error.hpp"

namespace regatta {
namespace {

constexpr std::array<const char*, 2> kTrainingState = {"optim/", "train/"};

/// Suffixes of the reference programs' buffers: sampling grids of spatial transformers, Swin's table of offsets.
constexpr std::array<const char*, 2> kReferenceBuffers = {".grid", "relative_position_index"};

// A large-kernel block as `LargeKernelConv` registers it.
constexpr std::array<const char*, 3> kParts = {".layer_regularKernel.0", ".layer_largeKernel.0", ".layer_oneKernel.0"};

/// The name that a parameter has today. VFA's layers were once numbered as in a sequence that counts its activations.
std::string current_name(const std::string& name) {
  static const std::map<std::string, std::string> kDouble = {
      {"0", "conv1"}, {"1", "norm1"}, {"3", "conv2"}, {"4", "norm2"}};
  static const std::map<std::string, std::string> kSingle = {{"1", "conv"}, {"2", "norm"}};
  std::vector<std::string> parts = split(name, '.');  // encoder.encoder_conv.0.3.weight
  if (parts.size() < 4 || parts[0] != "encoder") {
    return name;
  }
  const bool is_double = parts.size() == (parts[1] == "bottleneck_conv" ? 4 : 5) &&
                         (parts[1] == "encoder_conv" || parts[1] == "decoder_conv" || parts[1] == "bottleneck_conv");
  const bool is_single = parts.size() == 5 && parts[1] == "upsampling";
  const auto& layers = is_double ? kDouble : kSingle;
  std::string& layer = parts[parts.size() - 2];
  const auto found = layers.find(layer);
  if ((!is_double && !is_single) || found == layers.end()) {
    return name;
  }
  layer = found->second;
  return join(parts, ".");
}

template <class Drop>
std::int64_t drop_if(SafetensorsFile& file, const Drop& drop) {
  return static_cast<std::int64_t>(std::erase_if(file.tensors, [&](const auto& item) { return drop(item.first); }));
}

/// The block's two tensors of one kind, folded. @throws DataError
class Block {
 public:
  Block(const std::map<std::string, at::Tensor>& tensors, const std::string& name) : name_(name) {
    for (const char* part : kParts) {
      weights_.push_back(find(tensors, str(name, part, ".weight")));
      biases_.push_back(find(tensors, str(name, part, ".bias")));
    }
    const std::int64_t channels = biases_.front().size(0);
    for (const at::Tensor& bias : biases_) {
      REGATTA_REQUIRE(bias.dim() == 1 && bias.size(0) == channels, DataError, "block '", one_line(name, 80),
                      "': a bias is ", shape_text(bias), ", another ", shape_text(biases_.front()));
    }
    for (const at::Tensor& weight : weights_) {
      const std::int64_t k = weight.dim() == 5 ? weight.size(2) : 0;
      REGATTA_REQUIRE(
          k % 2 == 1 && k <= weights_[1].size(2) && weight.sizes() == at::IntArrayRef({channels, channels, k, k, k}),
          DataError, "block '", one_line(name, 80), "': a kernel is ", shape_text(weight), ", expected [", channels,
          ", ", channels, ", k, k, k] with odd k, the large kernel's the largest");
    }
  }

  at::Tensor weight() const { return fold_kernels(weights_, weights_[1].size(2)).to(type_); }

  at::Tensor bias() const { return biases_[0].add(biases_[1]).add(biases_[2]).to(type_); }

 private:
  at::Tensor find(const std::map<std::string, at::Tensor>& tensors, const std::string& name) {
    const auto found = tensors.find(name);
    REGATTA_REQUIRE(found != tensors.end(), DataError, "block '", one_line(name_, 80), "': '", one_line(name, 120),
                    "' is missing");
    REGATTA_REQUIRE(found->second.is_floating_point() && found->second.dim() > 0, DataError, "'", one_line(name, 120),
                    "': ", safetensors_type(found->second, name), " ", shape_text(found->second),
                    " is no kernel and no bias");
    type_ = found->second.scalar_type();
    return found->second.to(type_ == at::kDouble ? at::kDouble : at::kFloat);
  }

  std::string name_;
  std::vector<at::Tensor> weights_;
  std::vector<at::Tensor> biases_;
  at::ScalarType type_ = at::kFloat;
};

std::int64_t convert_to(SafetensorsFile& file, at::ScalarType type) {
  std::int64_t count = 0;
  for (auto& [name, tensor] : file.tensors) {
    if (!tensor.is_floating_point() || tensor.scalar_type() == type) {
      continue;
    }
    const at::Tensor converted = tensor.to(type);
    REGATTA_REQUIRE(at::isfinite(converted).equal(at::isfinite(tensor)), DataError, "tensor '", one_line(name, 80),
                    "' has a value too large for ", safetensors_type(converted, name));
    tensor = converted;
    ++count;
  }
  return count;
}

}  // namespace

std::int64_t drop_prefix(SafetensorsFile& file, const std::string& prefix) {
  return drop_if(file, [&](const std::string& name) { return name.starts_with(prefix); });
}

std::int64_t rename_prefix(SafetensorsFile& file, const std::string& from, const std::string& to) {
  std::int64_t count = 0;
  std::set<std::string> names;
  for (auto& [name, tensor] : file.tensors) {
    if (name.starts_with(from)) {
      name = to + name.substr(from.size());
      ++count;
    }
    REGATTA_REQUIRE(names.insert(name).second, DataError, "renaming '", one_line(from, 80), "' to '", one_line(to, 80),
                    "': two tensors would be named '", one_line(name, 80), "'");
  }
  return count;
}

std::string use_current_names(SafetensorsFile& file) {
  std::int64_t count = 0;
  std::pair<std::string, std::string> example;
  std::set<std::string> names;
  for (auto& [name, tensor] : file.tensors) {
    const bool is_moment = name.starts_with(kTrainingState[0]);  // optim/KIND/PARAMETER
    const std::size_t start = is_moment ? name.find('/', std::string_view(kTrainingState[0]).size()) + 1 : 0;
    const std::string today = name.substr(0, start) + current_name(name.substr(start));
    if (today != name) {
      example = count == 0 ? std::pair(name, today) : example;
      name = today;
      ++count;
    }
    REGATTA_REQUIRE(names.insert(name).second, DataError, "two tensors would be named '", one_line(name, 80), "'");
  }
  return count == 0 ? ""
                    : str(count, " tensors have names of an earlier version and get today's: '", example.first,
                          "' becomes '", example.second, "' and so on");
}

std::int64_t drop_training_state(SafetensorsFile& file) {
  std::int64_t count = 0;
  for (const char* prefix : kTrainingState) {
    count += drop_prefix(file, prefix);
  }
  return count;
}

std::vector<std::string> drop_reference_buffers(SafetensorsFile& file) {
  std::vector<std::string> dropped;
  drop_if(file, [&](const std::string& name) {
    const bool is_buffer = std::any_of(kReferenceBuffers.begin(), kReferenceBuffers.end(),
                                       [&](std::string_view suffix) { return name.ends_with(suffix); });
    if (is_buffer) {
      dropped.push_back(name);
    }
    return is_buffer;
  });
  return dropped;
}

std::int64_t fold_large_kernels(SafetensorsFile& file) {
  std::map<std::string, at::Tensor> tensors(file.tensors.begin(), file.tensors.end());
  const std::string first = str(kParts[0], ".weight");
  NamedTensors folded;
  std::set<std::string> used;
  std::int64_t blocks = 0;
  for (const auto& [name, tensor] : file.tensors) {
    if (!name.ends_with(first)) {
      continue;
    }
    const std::string block = name.substr(0, name.size() - first.size());
    for (const char* part : kParts) {
      used.insert(str(block, part, ".weight"));
      used.insert(str(block, part, ".bias"));
    }
  }
  for (const auto& [name, tensor] : file.tensors) {
    if (name.ends_with(first)) {  // the folded pair stands where the block began
      const std::string block = name.substr(0, name.size() - first.size());
      const Block parts(tensors, block);
      folded.emplace_back(block + ".folded.weight", parts.weight());
      folded.emplace_back(block + ".folded.bias", parts.bias());
      ++blocks;
    } else if (!used.contains(name)) {
      folded.emplace_back(name, tensor);
    }
  }
  file.tensors = std::move(folded);
  return blocks;
}

std::int64_t convert_to_half(SafetensorsFile& file) {
  return convert_to(file, at::kHalf);
}

std::int64_t convert_to_float(SafetensorsFile& file) {
  return convert_to(file, at::kFloat);
}

}  // namespace regatta
