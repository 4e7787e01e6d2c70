// The record of the parts of a step and their forms, and the sentence made of it.
#include "regatta/nn/forms.hpp"

#include <nlohmann/json.hpp>

#include <ATen/ops/empty.h>

#include "nn/layers/conv.hpp"
#include "nn/layers/norm.hpp"
#include "nn/layers/recompute.hpp"
#include "nn/layers/resize.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/warp.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

at::Tensor without_data(std::int64_t channels) {
  return at::empty({1, channels, 16, 16, 16}, at::device(at::kMeta).dtype(at::kFloat));
}

/// "warp: kernel x2"
std::vector<std::string> lines_of(const FormRecord& record) {
  std::vector<std::string> lines;
  for (const Json& part : forms_json(record.parts())) {
    lines.push_back(str(part.at("name").get<std::string>(), ": ", part.at("form").get<std::string>(), " x",
                        part.at("count").get<std::int64_t>()));
  }
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("the sentence of a step's parts names those by reference and counts the convolutions by cuDNN") {
  const PartForm ours = {"warp", Form::kKernel, 2};
  const PartForm theirs = {"convolution 64 to 128", Form::kCudnn, 1};
  const PartForm masked = {"NCC with masks", Form::kReference, 1};
  const PartForm dense = {"convolution 3x3x3", Form::kReference, 18};
  CHECK(forms_text(Backend::kFast, {ours}) == "fast, all 2 parts");
  CHECK(forms_text(Backend::kFast, {ours, theirs}) == "fast, all 3 parts; 1 convolution by cuDNN in bf16");
  CHECK(forms_text(Backend::kFast, {dense, ours, masked}) ==
        "fast, 19 of 21 parts by reference: convolution 3x3x3 (18), NCC with masks");
  CHECK(forms_text(Backend::kFast, {theirs, {"linear layer", Form::kCublas, 2}}) ==
        "fast, all 3 parts; 1 convolution by cuDNN and 2 linear layers by cuBLAS in bf16");
  CHECK(forms_text(Backend::kFast, {masked, theirs, {"convolution 8 to 9", Form::kCudnn, 4}}) ==
        "fast, 1 of 6 parts by reference: NCC with masks; 5 convolutions by cuDNN in bf16");
  CHECK(forms_text(Backend::kReference, {dense}) == "reference");
}

TEST_CASE("parts are noted only while somebody records, and parts of a part are none of their own") {
  { const StepPart before(Form::kKernel, "before"); }
  const FormRecord record;
  CHECK_THROWS_AS(FormRecord(), BugError);
  for (int i = 0; i < 2; ++i) {
    const StepPart whole(Form::kReference, "whole");
    const StepPart inside(Form::kKernel, "inside");
  }
  {
    const UnnotedParts unnoted;
    const StepPart again(Form::kKernel, "again");
  }
  {
    const StepPart after([] { return PartForm{"after", Form::kCudnn}; });
  }
  CHECK(lines_of(record) == Lines{"whole: reference x2", "after: cudnn x1"});
}

TEST_CASE("a loss gives the part that is open its name and form") {
  const FormRecord record;
  name_part(Form::kKernel, "nobody's");
  {
    const StepPart part(Form::kReference, "ncc");
    name_part(Form::kKernel, "NCC");
  }
  CHECK(lines_of(record) == Lines{"NCC: kernel x1"});
}

TEST_CASE("a warp without a fast form says why, and scaling and squaring is one part") {
  const FormRecord record;
  const WarpOptions fast = {.backend = Backend::kFast};
  const at::Tensor flow = without_data(3);
  warp(without_data(1), flow, fast);
  warp(without_data(1), flow, {.shifted_grid = true, .backend = Backend::kFast});
  warp(without_data(2), flow, fast);
  warp(without_data(1).set_requires_grad(true), flow, fast);
  warp(without_data(1), flow);
  integrate(flow);
  CHECK(lines_of(record) == Lines{"warp: kernel x1", "warp on a shifted grid: reference x1",
                                  "warp of several channels: reference x1",
                                  "warp with a gradient to the volume: reference x1", "warp: reference x1",
                                  "scaling and squaring: reference x1"});
}

TEST_CASE("convolutions of the fast backend are named by their channels, others by their kernels") {
  const NetworkContext context = {.backend = Backend::kFast, .channels_last = true, .without_data = true};
  Parameters parameters(context);
  const Conv3d down(parameters, "down", {.in = 2, .out = 32, .stride = 2});
  const Conv3d join(parameters, "join", {.in = 34, .out = 32});
  const Conv3d point(parameters, "point", {.in = 32, .out = 16, .kernel = 1});
  const UpConv3d up(parameters, "up", {.in = 16, .out = 8});
  const FormRecord record;
  const Feature low = down({Feature(without_data(2))});  // of 8x8x8
  const Feature high = join({upsample_nearest(Feature(low)), Feature(without_data(2))});
  point({high});
  up(Feature(without_data(16)));
  CHECK(lines_of(record) == Lines{"convolution 2 to 32, stride 2: kernel x1", "convolution 32 up + 2 to 32: kernel x1",
                                  "convolution 1x1x1 32 to 16: cudnn x1", "transposed convolution 16 to 8: cudnn x1"});
}

TEST_CASE("features of the fast backend are normalised, pooled and resampled by kernels where they have a form") {
  const at::Tensor features = without_data(16).to(at::kBFloat16);
  const at::Tensor odd = without_data(12).to(at::kBFloat16);
  const FormRecord record;
  const InstanceNorm norm(Activation::leaky(0.01));
  norm(features);
  norm(odd);
  upsample_trilinear(features);
  upsample_trilinear(features, {.align_corners = true});
  upsample_trilinear(odd, {.align_corners = true});
  average_pool(without_data(2).to(at::kBFloat16), 3, 2);
  average_pool(without_data(2), 3, 2);
  max_pool(features);
  max_pool(odd);
  resize_field(without_data(3), {4, 4, 4}, {.backend = Backend::kFast});
  resize_field(without_data(3), {4, 4, 4});
  CHECK(lines_of(record) ==
        Lines{"instance norm: kernel x1", "instance norm: reference x1", "trilinear up-sampling: kernel x2",
              "trilinear resampling: reference x2", "average pooling: kernel x1", "average pooling: reference x1",
              "max pooling: kernel x1", "max pooling: reference x1", "trilinear resampling: kernel x1"});
}

TEST_CASE("a field of a 1x1x1 convolution is one part of the fast backend, two of the reference") {
  for (const Backend backend : {Backend::kFast, Backend::kReference}) {
    Parameters parameters({.backend = backend, .channels_last = true, .without_data = true});
    const Conv3d points(parameters, "points", {.in = 16, .out = 3, .kernel = 1});
    const Conv3d field(parameters, "field", {.in = 3, .out = 3, .field = true});
    const FormRecord record;
    const at::Tensor made = field.after(points, {Feature(without_data(16))}).value();
    CHECK(made.sizes() == at::IntArrayRef({1, 3, 16, 16, 16}));
    CHECK(lines_of(record) == (backend == Backend::kFast
                                   ? Lines{"convolution 16 to 3: kernel x1"}
                                   : Lines{"convolution 1x1x1: reference x1", "convolution 3x3x3: reference x1"}));
  }
}

TEST_CASE("what a backward pass computes once more is not noted twice") {
  Parameters parameters({.without_data = true});
  const Conv3d conv(parameters, "conv", {.in = 2, .out = 2});
  const FormRecord record;
  const at::Tensor input = without_data(2).set_requires_grad(true);
  recomputed(true, input, [&](const at::Tensor& given) { return conv({Feature(given)}).value(); }).sum().backward();
  CHECK(lines_of(record) == Lines{"convolution 3x3x3: reference x1"});
}

}  // namespace regatta::test
