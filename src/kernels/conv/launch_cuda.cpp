// The build with CUDA kernels. Each launcher is instantiated in one of the .cu files.
#include "kernels/conv/forms.hpp"
#include "kernels/conv/launch.hpp"

namespace regatta::kernels::conv {

template <class F>
void launch_march(const ExtendedCall& call, int multiprocessors, Stream stream);
template <class F>
void launch_strided_gradient(const ExtendedCall& call, int multiprocessors, Stream stream);
template <class F>
void launch_hopper(const ExtendedCall& call, int multiprocessors, Stream stream);
template <class F>
void launch_up(const ForwardCall& call, int multiprocessors, Stream stream);
template <class F>
void launch_fold(const ForwardCall& call, int multiprocessors, Stream stream);
template <class F>
void launch_thin_forward(const ForwardCall& call, int multiprocessors, Stream stream);
template <class F>
void launch_weights(const WeightCall& call, int multiprocessors, Stream stream);
template <class F>
void launch_fold_weights(const WeightCall& call, int multiprocessors, Stream stream);
template <class F>
void launch_thin_weights(const WeightCall& call, int multiprocessors, Stream stream);
template <class F>
void launch_strided_weights(const WeightCall& call, int multiprocessors, Stream stream);
template <class F>
void launch_hopper_weights(const WeightCall& call, int multiprocessors, Stream stream);

namespace {

using MarchLaunch = void (*)(const ExtendedCall&, int, Stream);
using ForwardLaunch = void (*)(const ForwardCall&, int, Stream);
using WeightLaunch = void (*)(const WeightCall&, int, Stream);

template <class... F>
MarchLaunch march_at(FormList<F...>, int form) {
  static constexpr MarchLaunch kTable[] = {launch_march<F>...};
  return kTable[form];
}

template <class... F>
MarchLaunch strided_gradient_at(FormList<F...>, int form) {
  static constexpr MarchLaunch kTable[] = {launch_strided_gradient<F>...};
  return kTable[form];
}

template <class... F>
MarchLaunch hopper_at(FormList<F...>, int form) {
  static constexpr MarchLaunch kTable[] = {launch_hopper<F>...};
  return kTable[form];
}

template <class... F>
ForwardLaunch up_at(FormList<F...>, int form) {
  static constexpr ForwardLaunch kTable[] = {launch_up<F>...};
  return kTable[form];
}

template <class... F>
ForwardLaunch fold_at(FormList<F...>, int form) {
  static constexpr ForwardLaunch kTable[] = {launch_fold<F>...};
  return kTable[form];
}

template <class... F>
ForwardLaunch thin_at(FormList<F...>, int form) {
  static constexpr ForwardLaunch kTable[] = {launch_thin_forward<F>...};
  return kTable[form];
}

template <class... F>
WeightLaunch weights_at(FormList<F...>, int form) {
  static constexpr WeightLaunch kTable[] = {launch_weights<F>...};
  return kTable[form];
}

template <class... F>
WeightLaunch fold_weights_at(FormList<F...>, int form) {
  static constexpr WeightLaunch kTable[] = {launch_fold_weights<F>...};
  return kTable[form];
}

template <class... F>
WeightLaunch thin_weights_at(FormList<F...>, int form) {
  static constexpr WeightLaunch kTable[] = {launch_thin_weights<F>...};
  return kTable[form];
}

template <class... F>
WeightLaunch strided_weights_at(FormList<F...>, int form) {
  static constexpr WeightLaunch kTable[] = {launch_strided_weights<F>...};
  return kTable[form];
}

template <class... F>
WeightLaunch hopper_weights_at(FormList<F...>, int form) {
  static constexpr WeightLaunch kTable[] = {launch_hopper_weights<F>...};
  return kTable[form];
}

}  // namespace

void launch_form(Family family, int form, const ExtendedCall& call, int multiprocessors, Stream stream) {
  if (family == Family::kMarch) {
    march_at(MarchForms(), form)(call, multiprocessors, stream);
    return;
  }
  if (family == Family::kStridedGradient) {
    strided_gradient_at(StridedGradientForms(), form)(call, multiprocessors, stream);
    return;
  }
  if (family == Family::kHopper) {
    hopper_at(HopperForms(), form)(call, multiprocessors, stream);
    return;
  }
  const ForwardLaunch launch = family == Family::kUp     ? up_at(UpForms(), form)
                               : family == Family::kFold ? fold_at(FoldForms(), form)
                                                         : thin_at(ThinForms(), form);
  launch(call, multiprocessors, stream);
}

void launch_form(Family family, int form, const WeightCall& call, int multiprocessors, Stream stream) {
  const WeightLaunch launch = family == Family::kWeights          ? weights_at(WeightForms(), form)
                              : family == Family::kFoldWeights    ? fold_weights_at(FoldWeightForms(), form)
                              : family == Family::kStridedWeights ? strided_weights_at(StridedWeightForms(), form)
                              : family == Family::kHopperWeights  ? hopper_weights_at(HopperWeightForms(), form)
                                                                  : thin_weights_at(ThinWeightForms(), form);
  launch(call, multiprocessors, stream);
}

}  // namespace regatta::kernels::conv
