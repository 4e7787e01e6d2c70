// The build without CUDA kernels: whoever asks for one has not asked `built` first.
#include "regatta/base/error.hpp"
#include "regatta/kernels/activation.hpp"
#include "regatta/kernels/adam.hpp"
#include "regatta/kernels/average_pool.hpp"
#include "regatta/kernels/compose.hpp"
#include "regatta/kernels/diffusion.hpp"
#include "regatta/kernels/draw.hpp"
#include "regatta/kernels/feature_warp.hpp"
#include "regatta/kernels/field_penalty.hpp"
#include "regatta/kernels/fixed_point.hpp"
#include "regatta/kernels/gelu.hpp"
#include "regatta/kernels/gradient_guard.hpp"
#include "regatta/kernels/image_difference.hpp"
#include "regatta/kernels/instance_norm.hpp"
#include "regatta/kernels/jacobian.hpp"
#include "regatta/kernels/keypoint.hpp"
#include "regatta/kernels/label_overlap.hpp"
#include "regatta/kernels/layer_norm.hpp"
#include "regatta/kernels/max_pool.hpp"
#include "regatta/kernels/mean_pool.hpp"
#include "regatta/kernels/mind.hpp"
#include "regatta/kernels/mutual_information.hpp"
#include "regatta/kernels/ncc.hpp"
#include "regatta/kernels/neighbourhood_attention.hpp"
#include "regatta/kernels/pack.hpp"
#include "regatta/kernels/resize.hpp"
#include "regatta/kernels/soft_dice.hpp"
#include "regatta/kernels/softsign.hpp"
#include "regatta/kernels/ssim.hpp"
#include "regatta/kernels/upsample.hpp"
#include "regatta/kernels/warp.hpp"

namespace regatta::kernels {
namespace {

[[noreturn]] void refuse() {
  throw NotBuilt(str("CUDA kernels are not built: ", build_text()));
}

}  // namespace

void activate(const ActivationShape&, const ActivationForward&, const Capability&, Stream) {
  refuse();
}

void activation_gradient(const ActivationShape&, const ActivationGradient&, const Capability&, Stream) {
  refuse();
}

void channel_sums(const ActivationShape&, const Bf16*, const std::array<float*, kMostBiases>&, void*, const Capability&,
                  Stream) {
  refuse();
}

void softsign_forward(const Softsign&, const float*, float*, Stream) {
  refuse();
}

void softsign_backward(const Softsign&, const float*, const float*, float*, Stream) {
  refuse();
}

void adam(const AdamArrays&, const AdamRule&, const AdamStep*, const float*, const Capability&, Stream) {
  refuse();
}

void gradient_guard(const GuardStep&, const GuardState&, void*, const Capability&, Stream) {
  refuse();
}

void draw_uniform(const DrawKey&, const double*, double*, std::int64_t, Stream) {
  refuse();
}

void draw_normal(const DrawKey&, const double*, float*, std::int64_t, Stream) {
  refuse();
}

void to_fixed_point(const float*, std::uint32_t*, std::int64_t, Stream) {
  refuse();
}

void label_counts(const std::uint8_t*, const std::uint8_t*, const float*, const VolumeSize&, LabelWarp, std::int64_t*,
                  Stream) {
  refuse();
}

void jacobian_sums(const float*, const std::uint8_t*, const VolumeSize&, const JacobianLog&, double*, void*, Stream) {
  refuse();
}

void pack_pair(const void*, const void*, ImageType, const VolumeSize&, Bf16*, Stream) {
  refuse();
}

void pack_field(const float*, const VolumeSize&, Bf16*, Stream) {
  refuse();
}

void unpack_field(const Bf16*, const VolumeSize&, float*, Stream) {
  refuse();
}

void pack_quads(const std::uint8_t*, const VolumeSize&, std::uint32_t*, Stream) {
  refuse();
}

void warp_forward(const WarpForward&, Stream) {
  refuse();
}

void warp_backward(const WarpBackward&, Stream) {
  refuse();
}

void compose_forward(const ComposeForward&, Stream) {
  refuse();
}

void compose_backward(const ComposeBackward&, Stream) {
  refuse();
}

void squaring_forward(const SquaringForward&, Stream) {
  refuse();
}

void squaring_backward(const SquaringBackward&, Stream) {
  refuse();
}

void resize_forward(const Resize&, const float*, float*, Stream) {
  refuse();
}

void resize_backward(const Resize&, const float*, float*, Stream) {
  refuse();
}

void diffusion_forward(const float*, const VolumeSize&, Penalty, double, float*, void*, Stream, DiffusionUnits) {
  refuse();
}

void diffusion_backward(const float*, const VolumeSize&, Penalty, double, const float*, const FieldGradient&, Stream,
                        DiffusionUnits) {
  refuse();
}

void ncc_forward(const NccPair&, float*, float*, void*, const Capability&, Stream) {
  refuse();
}

void ncc_backward(const NccPair&, const float*, const float*, float*, const Capability&, Stream) {
  refuse();
}

void average_pool_forward(const VolumeSize&, const Bf16*, Bf16*, Stream) {
  refuse();
}

void instance_norm_forward(const InstanceNormShape&, const InstanceNormForward&, const Capability&, Stream) {
  refuse();
}

void instance_norm_backward(const InstanceNormShape&, const InstanceNormBackward&, const Capability&, Stream) {
  refuse();
}

void layer_norm_forward(const LayerNormShape&, const LayerNormForward&, const Capability&, Stream) {
  refuse();
}

void layer_norm_backward(const LayerNormShape&, const LayerNormBackward&, const Capability&, Stream) {
  refuse();
}

void gelu_forward(const GeluShape&, const GeluForward&, const Capability&, Stream) {
  refuse();
}

void gelu_backward(const GeluShape&, const GeluBackward&, const Capability&, Stream) {
  refuse();
}

void max_pool_forward(const MaxPoolShape&, const MaxPoolForward&, const Capability&, Stream) {
  refuse();
}

void max_pool_backward(const MaxPoolShape&, const MaxPoolBackward&, const Capability&, Stream) {
  refuse();
}

void upsample_forward(const UpsampleShape&, const UpsampleForward&, const Capability&, Stream) {
  refuse();
}

void upsample_backward(const UpsampleShape&, const UpsampleBackward&, const Capability&, Stream) {
  refuse();
}

void soft_dice_forward(const SoftDice&, float*, float*, void*, Stream) {
  refuse();
}

void soft_dice_backward(const SoftDice&, const float*, const float*, float*, Stream) {
  refuse();
}

void field_penalty_forward(FieldPenalty, const float*, const VolumeSize&, float*, void*, Stream) {
  refuse();
}

void field_penalty_backward(FieldPenalty, const float*, const VolumeSize&, const float*, float*, Stream) {
  refuse();
}

void image_difference_forward(const ImageDifference&, float*, float*, void*, Stream) {
  refuse();
}

void image_difference_backward(const ImageDifference&, const float*, const float*, float*, float*, Stream) {
  refuse();
}

void mutual_information_forward(const ParzenPair&, float*, float*, void*, Stream) {
  refuse();
}

void mutual_information_backward(const ParzenPair&, ParzenImage, const float*, const float*, float*, Stream) {
  refuse();
}

void local_mutual_information(const ParzenPair&, int, float*, float*, void*, Stream) {
  refuse();
}

void keypoint_forward(const KeypointWork&, float*, float*, void*, Stream) {
  refuse();
}

void keypoint_backward(const KeypointWork&, const float*, const float*, float*, Stream) {
  refuse();
}

void mind(const MindPair&, float*, float*, void*, Stream) {
  refuse();
}

void ssim_forward(const SsimPair&, float*, float*, void*, Stream) {
  refuse();
}

void ssim_backward(const SsimPair&, const float*, const float*, float*, Stream) {
  refuse();
}

void mean_pool_forward(const MeanPoolShape&, const Bf16*, Bf16*, const Capability&, Stream) {
  refuse();
}

void mean_pool_backward(const MeanPoolShape&, const Bf16*, Bf16*, const Capability&, Stream) {
  refuse();
}

void feature_warp_forward(const FeatureWarpShape&, const FeatureWarpForward&, const Capability&, Stream) {
  refuse();
}

void feature_warp_backward(const FeatureWarpShape&, const FeatureWarpBackward&, const Capability&, Stream) {
  refuse();
}

void neighbourhood_forward(const NeighbourhoodShape&, const NeighbourhoodForward&, const Capability&, Stream) {
  refuse();
}

void neighbourhood_backward(const NeighbourhoodShape&, const NeighbourhoodBackward&, const Capability&, Stream) {
  refuse();
}

}  // namespace regatta::kernels
