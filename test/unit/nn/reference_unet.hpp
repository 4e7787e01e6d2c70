// The U-Net of models.md section 6 by LibTorch's own operators, over a network's parameters: a reference.
#pragma once

#include <string>

#include <ATen/ops/cat.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/conv_transpose3d.h>
#include <ATen/ops/prelu.h>
#include <ATen/ops/relu.h>

#include "network_checks.hpp"

namespace regatta::test {

class ReferenceUnet {
 public:
  explicit ReferenceUnet(const Model& model, std::string prefix = "") : model_(model), prefix_(std::move(prefix)) {}

  at::Tensor conv(const at::Tensor& x, const std::string& name, std::int64_t stride) const {
    const at::Tensor weight = parameter_of(model_, name + ".0.weight");
    return activated(at::conv3d(x, weight, bias_of(name), stride, weight.size(2) / 2), name);
  }

  at::Tensor up(const at::Tensor& x, const std::string& name) const {
    return activated(at::conv_transpose3d(x, parameter_of(model_, name + ".0.weight"), bias_of(name), 2), name);
  }

  /// Before the heads, after `levels` levels upwards.
  at::Tensor features(const at::Tensor& images, int levels) const {
    const at::Tensor e0 = conv(conv(images, "eninput", 1), "ec1", 1);
    const at::Tensor e1 = conv(conv(e0, "ec2", 2), "ec3", 1);
    const at::Tensor e2 = conv(conv(e1, "ec4", 2), "ec5", 1);
    const at::Tensor e3 = conv(conv(e2, "ec6", 2), "ec7", 1);
    const at::Tensor skips[] = {e3, e2, e1, e0};
    at::Tensor x = conv(conv(e3, "ec8", 2), "ec9", 1);
    for (int level = 1; level <= levels; ++level) {
      const std::string up_name = prefix_ + "up" + std::to_string(level);
      const std::string dc = prefix_ + "dc";
      x = at::cat({up(x, up_name), skips[level - 1]}, 1);
      x = conv(conv(x, dc + std::to_string(2 * level - 1), 1), dc + std::to_string(2 * level), 1);
    }
    return x;
  }

  /// A head: no bias, no activation.
  at::Tensor head(const at::Tensor& x, const std::string& name) const {
    const at::Tensor weight = parameter_of(model_, name + ".0.weight");
    return at::conv3d(x, weight, std::nullopt, 1, weight.size(2) / 2);
  }

 private:
  std::optional<at::Tensor> bias_of(const std::string& name) const { return parameter_of(model_, name + ".0.bias"); }

  at::Tensor activated(const at::Tensor& x, const std::string& name) const {
    const at::Tensor slope = parameter_of(model_, name + ".1.weight");
    return slope.defined() ? at::prelu(x, slope) : at::relu(x);
  }

  const Model& model_;
  std::string prefix_;
};

}  // namespace regatta::test
