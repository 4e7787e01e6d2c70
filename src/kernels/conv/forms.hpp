// The table of instances: every convolution kernel that is built, and how it is laid on the chip. No CUDA.
//
// For a pass the first row that computes it is taken whose blocks lie beside each other on a multiprocessor as the row
// says; if there is none, the first of which a block fits. Output channels may be a multiple of a row's: the grid then
// has several groups.
#pragma once

#include "kernels/conv/fold.hpp"
#include "kernels/conv/march.hpp"
#include "kernels/conv/thin.hpp"
#include "kernels/conv/up_forward.hpp"
#include "kernels/conv/weight_gradient.hpp"

namespace regatta::kernels::conv {

template <class... F>
struct FormList {};

// Forward. MarchShape: tiles, warps over channels, rows, warps y, warps x, stages, blocks.
using Forward32UpAnd16 = March<MarchKey{.first = 32, .first_up = true, .second = 16}, MarchShape{2, 2, 4, 4, 1, 2, 1}>;
using Forward32UpAnd16Low =
    March<MarchKey{.first = 32, .first_up = true, .second = 16}, MarchShape{2, 2, 4, 2, 1, 2, 1}>;
using Forward32To16 = March<MarchKey{.first = 32}, MarchShape{2, 1, 4, 2, 2, 3, 2}>;
using Forward16To16 = March<MarchKey{.first = 16}, MarchShape{2, 1, 6, 2, 2, 3, 2}>;
using Forward16To3 = March<MarchKey{.first = 16, .epilogue = Epilogue::kPlanar}, MarchShape{1, 1, 4, 2, 2, 3, 3}>;
using Forward2To16 = March<MarchKey{.thin = 2}, MarchShape{2, 1, 4, 2, 2, 3, 2}>;

// Data gradients.
using Gradient3To16 = March<MarchKey{.thin = 4, .epilogue = Epilogue::kMask}, MarchShape{2, 1, 4, 2, 2, 3, 2}>;
using Gradient16To32 = March<MarchKey{.first = 16, .epilogue = Epilogue::kMask}, MarchShape{2, 2, 4, 2, 1, 3, 2}>;
using Gradient16To16 = March<MarchKey{.first = 16, .epilogue = Epilogue::kMask}, MarchShape{2, 1, 4, 2, 2, 3, 2}>;
using Gradient32To16 = March<MarchKey{.first = 32, .epilogue = Epilogue::kMask}, MarchShape{2, 1, 4, 2, 2, 2, 2}>;

using MarchForms = FormList<Forward32UpAnd16, Forward32UpAnd16Low, Forward32To16, Forward16To16, Forward16To3,
                            Forward2To16, Gradient3To16, Gradient16To32, Gradient16To16, Gradient32To16>;

// Gradient of an up-sampled input. FoldShape: channels of the gradient, tiles, warps over channels, rows, warps y,
// stages, blocks.
using Fold32To32 = Fold<FoldShape{32, 2, 2, 2, 4, 3, 1}>;
using Fold32To32Low = Fold<FoldShape{32, 2, 2, 2, 4, 2, 1}>;
using FoldForms = FormList<Fold32To32, Fold32To32Low>;

// Forward from before the up-sampling. UpShape: channels, thin channels, tiles, warps over channels, rows, warps y,
// stages, blocks.
using Up32And2To16 = UpForward<UpShape{32, 2, 2, 1, 4, 1, 3, 2}>;
using Up32And2To16Tall = UpForward<UpShape{32, 2, 2, 1, 4, 2, 3, 1}>;
using UpForms = FormList<Up32And2To16, Up32And2To16Tall>;

// First layer of stride 2. ThinForwardShape: tiles, warps over channels, rows, warps y, warps x, blocks.
using Thin2To16 = ThinForward<ThinForwardShape{2, 1, 4, 2, 2, 4}>;
using ThinForms = FormList<Thin2To16>;

// Weight gradients. WeightShape: input channels, tiles, warps over output channels, rows, warps y, warps x, stages,
// blocks, quads.
using Weights16To3 = WeightForm<WeightShape{16, 1, 1, 16, 1, 2, 2, 2, true}>;
using Weights16To32 = WeightForm<WeightShape{16, 2, 2, 8, 1, 1, 2, 2}>;
using Weights16To16 = WeightForm<WeightShape{16, 2, 1, 8, 1, 2, 2, 2}>;
using Weights32To16 = WeightForm<WeightShape{32, 2, 1, 8, 1, 1, 2, 2}>;
using WeightForms = FormList<Weights16To3, Weights16To32, Weights16To16, Weights32To16>;

// FoldWeightShape: input channels, tiles, warps over output channels, rows, blocks.
using FoldWeights32To32 = FoldWeights<FoldWeightShape{32, 2, 2, 4, 1}>;
using FoldWeightForms = FormList<FoldWeights32To32>;

// ThinWeightShape: output channels, stride, rows, warps y, warps x, blocks.
using ThinWeights16Stride2 = ThinWeights<ThinWeightShape{16, 2, 4, 4, 2, 2}>;
using ThinWeights16 = ThinWeights<ThinWeightShape{16, 1, 4, 4, 2, 2}>;
using ThinWeights32 = ThinWeights<ThinWeightShape{32, 1, 4, 3, 2, 2}>;
using ThinWeightForms = FormList<ThinWeights16Stride2, ThinWeights16, ThinWeights32>;

}  // namespace regatta::kernels::conv
