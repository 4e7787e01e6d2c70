// Convolutions with their activation, over a list of inputs. Part of the small vocabulary that networks are written
// over (this folder and nn/warp.hpp), so that a faster implementation of a layer serves all of them: networks call no
// convolution, norm or sampler of LibTorch themselves, and keep no parameter outside `Parameters`.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/nn/parameters.hpp"

namespace regatta {

namespace fast {
struct ConvLayer;
}

struct Activation {
  enum class Kind { kNone, kRelu, kLeaky, kPrelu };
  Kind kind = Kind::kNone;
  double slope = 0.0;  ///< of `kLeaky`

  static Activation none() { return {}; }
  static Activation relu() { return {Kind::kRelu, 0.0}; }
  static Activation leaky(double slope) { return {Kind::kLeaky, slope}; }

  /// One trained slope for all channels, 0.25 at first.
  static Activation prelu() { return {Kind::kPrelu, 0.0}; }
};

/// A feature map as its readers take it, with what is left to them. A PReLU is: each reader applies it when it reads,
/// so that for the backward pass the value before the activation is kept and the value after it is not. The fast
/// backend leaves two things more: up-sampling by two, which convolutions read without writing it, and the derivative
/// of a LeakyReLU, whose sign they see in `raw`, so that they give back the gradient of what came before it. It writes
/// the result of a PReLU beside what came before.
struct Feature {
  at::Tensor raw;          ///< [N, C, D, H, W], or half of each size if `upsample`
  at::Tensor slope;        ///< [1], of the PReLU still to be applied; undefined: none
  double leaky = 1.0;      ///< slope of the LeakyReLU whose derivative is still to be applied; 1: none
  at::Tensor activated{};  ///< by the fast backend in a training: PReLU(raw), without a gradient
  bool deferred = false;   ///< made by the fast backend: what it leaves to readers may be added to
  bool upsample = false;   ///< still to be up-sampled by two (nearest)

  Feature(at::Tensor tensor) : raw(std::move(tensor)) {}  // a tensor is a feature
  Feature(at::Tensor tensor, at::Tensor prelu) : raw(std::move(tensor)), slope(std::move(prelu)) {}

  /// The feature itself, for readers that leave nothing undone.
  at::Tensor value() const;
};

/// Nearest-neighbour up-sampling by two along D, H and W, left to the reader where that can be.
Feature upsample_nearest(const Feature& input);

/// What a decoder reads beside its own features. Its last norm may be left to who reads it: an InstanceNorm without
/// weights and a LeakyReLU.
struct Skip {
  at::Tensor raw;                 ///< [N, C, D, H, W]; undefined: none
  std::optional<double> slope{};  ///< of the LeakyReLU after the norm; none: nothing is left

  at::Tensor value() const;
};

/// x / (1 + |x|). Keeps its input only.
at::Tensor softsign(const at::Tensor& input);

/// The same of a field, each component times its factor.
at::Tensor softsign(const at::Tensor& field, const std::array<double, 3>& factors, Backend backend);

struct ConvShape {
  std::int64_t in = 0;  ///< channels of all inputs together
  std::int64_t out = 0;
  std::int64_t kernel = 3;  ///< edge length; odd: padded by kernel / 2, so that stride 1 keeps the size
  std::int64_t stride = 1;
  Activation activation{};
  bool bias = true;
  std::string slope_name{};           ///< name of a PReLU's slope
  std::optional<Init> weight_init{};  ///< none: PyTorch's default, U(+-1/sqrt(fan in)), for the bias too
  std::optional<Init> bias_init{};
  std::optional<std::int64_t> padding{};                 ///< none: kernel / 2
  std::optional<std::array<std::int64_t, 3>> strides{};  ///< along D, H, W; none: `stride` along each
  bool field = false;      ///< the result is a displacement or velocity: float32 whatever the type of activations
  bool may_widen = false;  ///< the fast backend's result may have channels of zeros at its end, for norms and for
                           ///< convolutions that know how many are real from their weights
};

/// Convolution, then an activation.
class Conv3d {
 public:
  /// Registers `name`.weight [out, in, k, k, k], `name`.bias [out] and, for a PReLU, `slope_name` [1].
  Conv3d(Parameters& parameters, const std::string& name, const ConvShape& shape);

  /// The inputs, concatenated along the channels. The concatenation is not written where each input has enough
  /// channels for a convolution of its own.
  Feature operator()(const std::vector<Feature>& inputs) const;

  /// This convolution of what `pointwise` makes of the inputs, a 1x1x1 one without an activation. The fast backend
  /// computes both as one.
  Feature after(const Conv3d& pointwise, const std::vector<Feature>& inputs) const;

  /// This convolution of `input` up-sampled by two (trilinear) and a skip. The fast backend writes both side by side
  /// once.
  Feature of_upsampled(const at::Tensor& input, const Skip& skip) const;

  const at::Tensor& weight() const { return weight_; }
  const at::Tensor& bias() const { return bias_; }  ///< undefined without

 private:
  fast::ConvLayer fast_layer() const;

  at::Tensor weight_;
  at::Tensor bias_;
  at::Tensor slope_;
  std::vector<std::int64_t> strides_;
  std::int64_t padding_;
  Activation activation_;
  NetworkContext context_;
  bool field_;
  bool may_widen_;
};

/// Transposed 2x2x2 convolution with stride 2, then an activation: up-sampling by two.
class UpConv3d {
 public:
  /// Registers `name`.weight [in, out, 2, 2, 2], `name`.bias [out] and, for a PReLU, `slope_name` [1].
  UpConv3d(Parameters& parameters, const std::string& name, const ConvShape& shape);

  Feature operator()(const Feature& input) const;

 private:
  at::Tensor weight_;
  at::Tensor bias_;
  at::Tensor slope_;
  Activation activation_;
  Backend backend_;
};

/// The large-kernel block of LKU-Net: PReLU(conv3(x) + conv5(x) + conv1(x) + x), each with bias, the channels kept.
class LargeKernelConv {
 public:
  /// Registers `name`.layer_regularKernel.0, .layer_largeKernel.0, .layer_oneKernel.0 (weight and bias each) and
  /// .layer_nonlinearity.weight; folded: the one kernel that they add up to, `name`.folded.weight and .bias, instead.
  /// @param kernel  edge length of the large kernel, odd, at least 3
  LargeKernelConv(Parameters& parameters, const std::string& name, std::int64_t channels, std::int64_t kernel,
                  bool folded);

  Feature operator()(const Feature& input) const;

 private:
  Feature by_one_kernel(const Feature& input) const;

  std::vector<at::Tensor> weights_;
  std::vector<at::Tensor> biases_;
  at::Tensor slope_;
  bool folded_;
  Backend backend_;
};

/// The one kernel that equals the parallel ones and the identity: weight [C, C, k, k, k].
/// @param weights  odd kernels of any sizes, [C, C, j, j, j], j <= k
at::Tensor fold_kernels(const std::vector<at::Tensor>& weights, std::int64_t kernel);

}  // namespace regatta
