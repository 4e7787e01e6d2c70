// The table of instances: every convolution kernel that is built, and how it is laid on the chip. No CUDA.
//
// For a pass the first row that computes it is taken whose blocks lie beside each other on a multiprocessor as the row
// says; if there is none, the first of which a block fits. Output channels may be a multiple of a row's: the grid then
// has several groups.
#pragma once

#include "kernels/conv/fold.hpp"
#include "kernels/conv/hopper.hpp"
#include "kernels/conv/hopper_weights.hpp"
#include "kernels/conv/march.hpp"
#include "kernels/conv/strided_gradient.hpp"
#include "kernels/conv/strided_weights.hpp"
#include "kernels/conv/thin.hpp"
#include "kernels/conv/up_forward.hpp"
#include "kernels/conv/weight_gradient.hpp"

namespace regatta::kernels::conv {

template <class... F>
struct FormList {};

// Forward. MarchShape: tiles, warps over channels, rows, warps y, warps x, stages, blocks.
using Forward32UpAnd16 = March<MarchKey{.first = 32, .first_up = true, .second = 16}, MarchShape{2, 2, 4, 4, 1, 2, 1}>;
using Forward32UpAnd16Low =  // less shared memory
    March<MarchKey{.first = 32, .first_up = true, .second = 16}, MarchShape{2, 2, 4, 2, 1, 2, 1}>;
using Forward32UpAnd8 = March<MarchKey{.first = 32, .first_up = true, .second = 8}, MarchShape{2, 2, 4, 4, 1, 2, 1}>;
using Forward64To16 = March<MarchKey{.first = 64}, MarchShape{2, 1, 4, 2, 2, 2, 1}>;
using Forward32To32 = March<MarchKey{.first = 32}, MarchShape{2, 2, 4, 2, 1, 3, 2}>;
using Forward32To16 = March<MarchKey{.first = 32}, MarchShape{2, 1, 4, 2, 2, 3, 2}>;
using Forward32To8 = March<MarchKey{.first = 32}, MarchShape{1, 1, 4, 2, 2, 3, 2}>;
using Forward32To3 = March<MarchKey{.first = 32, .epilogue = Epilogue::kPlanar}, MarchShape{1, 1, 4, 2, 2, 3, 2}>;
using Forward64To3 = March<MarchKey{.first = 64, .epilogue = Epilogue::kPlanar}, MarchShape{1, 1, 4, 2, 2, 2, 1}>;
using Forward16To16 = March<MarchKey{.first = 16}, MarchShape{2, 1, 6, 2, 2, 3, 2}>;
using Forward16To8 = March<MarchKey{.first = 16}, MarchShape{1, 1, 4, 2, 2, 3, 3}>;
using Forward16And16To16 = March<MarchKey{.first = 16, .second = 16}, MarchShape{2, 1, 4, 2, 2, 3, 2}>;
using Forward16To3 = March<MarchKey{.first = 16, .epilogue = Epilogue::kPlanar}, MarchShape{1, 1, 4, 2, 2, 3, 3}>;
using Forward8To8 = March<MarchKey{.first = 8}, MarchShape{1, 1, 4, 2, 2, 3, 3}>;
using Forward8To3 = March<MarchKey{.first = 8, .epilogue = Epilogue::kPlanar}, MarchShape{1, 1, 4, 2, 2, 3, 3}>;
using Forward2To16 = March<MarchKey{.thin = 2}, MarchShape{2, 1, 4, 2, 2, 3, 2}>;

// Data gradients.
using Gradient32To16 = March<MarchKey{.first = 32, .epilogue = Epilogue::kMask}, MarchShape{2, 1, 4, 2, 2, 2, 2}>;
using Gradient32To8 = March<MarchKey{.first = 32, .epilogue = Epilogue::kMask}, MarchShape{1, 1, 4, 2, 2, 2, 2}>;
using Gradient16To32 = March<MarchKey{.first = 16, .epilogue = Epilogue::kMask}, MarchShape{2, 2, 4, 2, 1, 3, 2}>;
using Gradient16To16 = March<MarchKey{.first = 16, .epilogue = Epilogue::kMask}, MarchShape{2, 1, 4, 2, 2, 3, 2}>;
using Gradient8To32 = March<MarchKey{.first = 8, .epilogue = Epilogue::kMask}, MarchShape{2, 2, 4, 2, 1, 3, 2}>;
using Gradient8To8 = March<MarchKey{.first = 8, .epilogue = Epilogue::kMask}, MarchShape{1, 1, 4, 2, 2, 3, 3}>;
using Gradient3To16 = March<MarchKey{.thin = 4, .epilogue = Epilogue::kMask}, MarchShape{2, 1, 4, 2, 2, 3, 2}>;
using Gradient3To8 = March<MarchKey{.thin = 4, .epilogue = Epilogue::kMask}, MarchShape{1, 1, 4, 2, 2, 3, 3}>;

// 5x5x5, and 3x3x3 with a trained slope: what a form has more than a pass needs, it does without.
constexpr MarchKey large_key(int first, Epilogue epilogue) {
  return {.first = first, .epilogue = epilogue, .edge = kLargeEdge, .prelu = true};
}
using Large8To8 = March<large_key(8, Epilogue::kActivate), MarchShape{1, 1, 4, 2, 2, 3, 2}>;
using Large16To16 = March<large_key(16, Epilogue::kActivate), MarchShape{1, 2, 4, 2, 1, 2, 2}>;
using Large16To3 =
    March<MarchKey{.first = 16, .epilogue = Epilogue::kPlanar, .edge = kLargeEdge}, MarchShape{1, 1, 4, 2, 2, 3, 2}>;
using Large32To8 = March<large_key(32, Epilogue::kActivate), MarchShape{1, 1, 4, 2, 1, 2, 2}>;
using LargeGradient8To8 = March<large_key(8, Epilogue::kMask), MarchShape{1, 1, 4, 2, 2, 3, 2}>;
using LargeGradient16To16 = March<large_key(16, Epilogue::kMask), MarchShape{1, 2, 4, 2, 1, 2, 2}>;
using LargeGradient32To8 = March<large_key(32, Epilogue::kMask), MarchShape{1, 1, 4, 2, 1, 2, 2}>;

// 3x3x3 of LKU-Net. After a plain form of the same channels, which needs fewer registers.
constexpr MarchKey prelu_key(int first, int second, int thin, Epilogue epilogue) {
  return {.first = first, .second = second, .thin = thin, .epilogue = epilogue, .prelu = true};
}
using Prelu2To8 = March<prelu_key(0, 0, 2, Epilogue::kActivate), MarchShape{1, 1, 4, 2, 2, 3, 3}>;
using Prelu2To32 = March<prelu_key(0, 0, 2, Epilogue::kActivate), MarchShape{2, 2, 4, 2, 1, 3, 2}>;
using Prelu8To8 = March<prelu_key(8, 0, 0, Epilogue::kActivate), MarchShape{1, 1, 4, 2, 2, 3, 3}>;
using Prelu16To16 = March<prelu_key(16, 0, 0, Epilogue::kActivate), MarchShape{2, 1, 4, 2, 2, 3, 2}>;
using Prelu32To16 = March<prelu_key(32, 0, 0, Epilogue::kActivate), MarchShape{2, 1, 4, 2, 2, 3, 2}>;
using Prelu16And8To16 = March<prelu_key(16, 8, 0, Epilogue::kActivate), MarchShape{2, 1, 4, 2, 2, 3, 2}>;
using Prelu16And16To32 = March<prelu_key(16, 16, 0, Epilogue::kActivate), MarchShape{2, 2, 4, 2, 1, 3, 2}>;
using PreluGradient3To16 = March<prelu_key(0, 0, 4, Epilogue::kMask), MarchShape{2, 1, 4, 2, 2, 3, 2}>;
using PreluGradient8To8 = March<prelu_key(8, 0, 0, Epilogue::kMask), MarchShape{1, 1, 4, 2, 2, 3, 3}>;
using PreluGradient16To32 = March<prelu_key(16, 0, 0, Epilogue::kMask), MarchShape{2, 2, 4, 2, 1, 3, 2}>;
using PreluGradient16To16 = March<prelu_key(16, 0, 0, Epilogue::kMask), MarchShape{2, 1, 4, 2, 2, 3, 2}>;
using PreluGradient16To8 = March<prelu_key(16, 0, 0, Epilogue::kMask), MarchShape{1, 1, 4, 2, 2, 3, 3}>;
using PreluGradient32To16 = March<prelu_key(32, 0, 0, Epilogue::kMask), MarchShape{2, 1, 4, 2, 2, 2, 2}>;

// of those that compute the same, the one with more output channels first
using MarchForms =
    FormList<Forward32UpAnd16, Forward32UpAnd16Low, Forward32UpAnd8, Forward64To16, Forward32To32, Forward32To16,
             Forward32To8, Forward16To16, Forward16To8, Forward16To3, Forward8To8, Forward8To3, Forward32To3,
             Forward64To3, Forward2To16, Gradient3To16, Gradient3To8, Gradient16To32, Gradient16To16, Gradient8To32,
             Gradient8To8, Gradient32To16, Gradient32To8, Large8To8, Large16To16, Large16To3, Large32To8,
             LargeGradient8To8, LargeGradient16To16, LargeGradient32To8, Prelu2To32, Prelu2To8, Prelu8To8, Prelu16To16,
             Prelu32To16, Prelu16And8To16, Prelu16And16To32, Forward16And16To16, PreluGradient3To16, PreluGradient8To8,
             PreluGradient16To32, PreluGradient16To16, PreluGradient16To8, PreluGradient32To16>;

// For compute capability 9.0 alone, taken first. HopperShape: input and output channels, patches y, patches x,
// warpgroups, stages, blocks.
using Hopper16To16 = Hopper<HopperShape{16, 16, 1, 2, 1, 3, 4}, Epilogue::kActivate>;
using Hopper32To16 = Hopper<HopperShape{32, 16, 1, 4, 2, 3, 2}, Epilogue::kActivate>;
using Hopper32To32 = Hopper<HopperShape{32, 32, 1, 2, 2, 3, 2}, Epilogue::kActivate>;
using Hopper64To16 = Hopper<HopperShape{64, 16, 2, 2, 4, 2, 1}, Epilogue::kActivate>;
using Hopper64To32 = Hopper<HopperShape{64, 32, 1, 2, 2, 3, 1}, Epilogue::kActivate>;
using HopperGradient3To16 = Hopper<HopperShape{8, 16, 1, 2, 1, 3, 4}, Epilogue::kMask>;
using HopperGradient16To16 = Hopper<HopperShape{16, 16, 1, 2, 1, 3, 4}, Epilogue::kMask>;
using HopperGradient16To32 = Hopper<HopperShape{16, 32, 1, 2, 2, 3, 2}, Epilogue::kMask>;
using HopperGradient32To16 = Hopper<HopperShape{32, 16, 1, 2, 2, 3, 2}, Epilogue::kMask>;
using HopperGradient32To32 = Hopper<HopperShape{32, 32, 1, 2, 2, 3, 2}, Epilogue::kMask>;

// LKU-Net's, after the plain forms of the same channels.
using HopperPrelu16To16 = Hopper<HopperShape{16, 16, 1, 2, 1, 3, 4}, Epilogue::kActivate, true>;
using HopperPrelu32To32 = Hopper<HopperShape{32, 32, 1, 2, 2, 3, 2}, Epilogue::kActivate, true>;
using HopperPreluGradient16To16 = Hopper<HopperShape{16, 16, 1, 2, 1, 3, 4}, Epilogue::kMask, true>;
using HopperPreluGradient32To32 = Hopper<HopperShape{32, 32, 1, 2, 2, 3, 2}, Epilogue::kMask, true>;

using HopperForms =
    FormList<Hopper64To32, Hopper64To16, Hopper32To32, Hopper32To16, Hopper16To16, HopperGradient3To16,
             HopperGradient16To32, HopperGradient16To16, HopperGradient32To32, HopperGradient32To16, HopperPrelu32To32,
             HopperPrelu16To16, HopperPreluGradient32To32, HopperPreluGradient16To16>;

// Gradient of an up-sampled input. FoldShape: channels of the gradient, tiles, warps over channels, rows, warps y,
// stages, blocks.
using Fold64To32 = Fold<FoldShape{64, 2, 2, 2, 2, 2, 1}>;
using Fold32To32 = Fold<FoldShape{32, 2, 2, 2, 4, 3, 1}>;
using Fold32To32Low = Fold<FoldShape{32, 2, 2, 2, 4, 2, 1}>;  // less shared memory
using FoldForms = FormList<Fold64To32, Fold32To32, Fold32To32Low>;

// Forward from before the up-sampling. UpShape: channels, thin channels, tiles, warps over channels, rows, warps y,
// stages, blocks.
using Up64And2To16 = UpForward<UpShape{64, 2, 2, 1, 4, 2, 2, 1}>;
using Up32And2To16 = UpForward<UpShape{32, 2, 2, 1, 4, 1, 3, 2}>;
using Up32And2To16Tall = UpForward<UpShape{32, 2, 2, 1, 4, 2, 3, 1}>;  // one block where two find no room
using UpForms = FormList<Up64And2To16, Up32And2To16, Up32And2To16Tall>;

// First layer of stride 2. ThinForwardShape: tiles, warps over channels, rows, warps y, warps x, blocks.
using Thin2To16 = ThinForward<ThinForwardShape{2, 1, 4, 2, 2, 4}>;
using Thin2To8 = ThinForward<ThinForwardShape{1, 1, 4, 2, 2, 4}>;
using ThinForms = FormList<Thin2To16, Thin2To8>;

// Data gradients of stride 2. StridedGradientShape: channels of the gradient, tiles, warps over channels, rows, warps
// y, warps x, blocks.
using StridedGradient64To32 = StridedGradient<StridedGradientShape{64, 2, 2, 2, 4, 1, 1}>;
using StridedGradient32To16 = StridedGradient<StridedGradientShape{32, 2, 1, 2, 4, 1, 2}>;
using StridedGradient16To8 = StridedGradient<StridedGradientShape{16, 1, 1, 2, 4, 2, 2}>;
using StridedGradientForms = FormList<StridedGradient64To32, StridedGradient32To16, StridedGradient16To8>;

// Weight gradients. WeightShape: input channels, tiles, warps over output channels, rows, warps y, warps x, stages,
// blocks, quads, edge.
using Weights64To16 = WeightForm<WeightShape{64, 2, 1, 8, 1, 1, 2, 1}>;
using Weights64To3 = WeightForm<WeightShape{64, 1, 1, 8, 1, 1, 2, 1, true}>;
using Weights32To32 = WeightForm<WeightShape{32, 2, 2, 16, 1, 1, 2, 1}>;
using Weights32To16 = WeightForm<WeightShape{32, 2, 1, 8, 1, 1, 2, 2}>;
using Weights32To8 = WeightForm<WeightShape{32, 1, 1, 8, 1, 1, 2, 2}>;
using Weights32To3 = WeightForm<WeightShape{32, 1, 1, 8, 1, 1, 2, 2, true}>;
using Weights16To32 = WeightForm<WeightShape{16, 2, 2, 8, 1, 1, 2, 2}>;
using Weights16To16 = WeightForm<WeightShape{16, 2, 1, 8, 1, 2, 2, 2}>;
using Weights16To8 = WeightForm<WeightShape{16, 1, 1, 8, 1, 2, 2, 2}>;
using Weights16To3 = WeightForm<WeightShape{16, 1, 1, 16, 1, 2, 2, 2, true}>;
using Weights8To32 = WeightForm<WeightShape{8, 2, 2, 8, 1, 1, 2, 2}>;
using Weights8To16 = WeightForm<WeightShape{8, 2, 1, 8, 1, 2, 2, 2}>;
using Weights8To8 = WeightForm<WeightShape{8, 1, 1, 8, 1, 2, 2, 2}>;
using Weights8To3 = WeightForm<WeightShape{8, 1, 1, 16, 1, 2, 2, 2, true}>;
using LargeWeights8To8 = WeightForm<WeightShape{8, 1, 1, 8, 2, 1, 2, 1, false, kLargeEdge}>;
using LargeWeights16To16 = WeightForm<WeightShape{16, 1, 2, 16, 1, 1, 2, 1, false, kLargeEdge}>;
using LargeWeights16To8 = WeightForm<WeightShape{16, 1, 1, 8, 2, 1, 2, 1, false, kLargeEdge}>;
using LargeWeights32To8 = WeightForm<WeightShape{32, 1, 1, 8, 1, 1, 2, 1, false, kLargeEdge}>;
using WeightForms =
    FormList<Weights64To16, Weights64To3, Weights32To32, Weights32To16, Weights32To8, Weights32To3, Weights16To32,
             Weights16To16, Weights16To8, Weights16To3, Weights8To32, Weights8To16, Weights8To8, Weights8To3,
             LargeWeights8To8, LargeWeights16To16, LargeWeights16To8, LargeWeights32To8>;

// Weight gradients of stride 2. StridedWeightShape: input channels, tiles, warps over output channels, rows, warps y,
// blocks.
using StridedWeights32To32 = StridedWeights<StridedWeightShape{32, 2, 2, 4, 1, 1}>;
using StridedWeightForms = FormList<StridedWeights32To32>;

// Weight gradients for compute capability 9.0 alone, taken first. HopperWeightShape: edge, warpgroups, rows.
using HopperWeights64 = HopperWeights<HopperWeightShape{kTaps, 3, 16}>;
using LargeHopperWeights64 = HopperWeights<HopperWeightShape{kLargeEdge, 2, 16}>;
using HopperWeightForms = FormList<HopperWeights64, LargeHopperWeights64>;

// FoldWeightShape: input channels, tiles, warps over output channels, rows, steps ahead, blocks.
using FoldWeights64To16 = FoldWeights<FoldWeightShape{64, 2, 1, 4, 2, 1}>;
using FoldWeights32To32 = FoldWeights<FoldWeightShape{32, 2, 2, 4, 2, 1}>;
using FoldWeights32To32Low = FoldWeights<FoldWeightShape{32, 2, 2, 4, 1, 1}>;  // less shared memory
using FoldWeightForms = FormList<FoldWeights64To16, FoldWeights32To32, FoldWeights32To32Low>;

// ThinWeightShape: output channels, stride, rows, warps y, warps x, blocks.
using ThinWeights32 = ThinWeights<ThinWeightShape{32, 1, 8, 2, 2, 2}>;
using ThinWeights32Low = ThinWeights<ThinWeightShape{32, 1, 4, 4, 2, 1}>;  // less shared memory
using ThinWeights16 = ThinWeights<ThinWeightShape{16, 1, 4, 4, 2, 2}>;
using ThinWeights8 = ThinWeights<ThinWeightShape{8, 1, 4, 4, 2, 2}>;
using ThinWeights32Stride2 = ThinWeights<ThinWeightShape{32, 2, 4, 3, 2, 1}>;
using ThinWeights16Stride2 = ThinWeights<ThinWeightShape{16, 2, 4, 4, 2, 2}>;
using ThinWeights8Stride2 = ThinWeights<ThinWeightShape{8, 2, 4, 4, 2, 2}>;
using ThinWeightForms = FormList<ThinWeights32, ThinWeights32Low, ThinWeights16, ThinWeights8, ThinWeights32Stride2,
                                 ThinWeights16Stride2, ThinWeights8Stride2>;

}  // namespace regatta::kernels::conv
