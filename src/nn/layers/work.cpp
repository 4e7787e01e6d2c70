#include "nn/layers/work.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "nn/device/meta_kernels.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/model.hpp"

namespace regatta {
namespace {

thread_local Work* counted_work = nullptr;

double voxels_of(const at::Tensor& volume) {
  return static_cast<double>(volume.numel()) / static_cast<double>(volume.size(1));
}

}  // namespace

WorkCount::WorkCount() {
  REGATTA_REQUIRE(counted_work == nullptr, BugError, "work is being counted already");
  counted_work = &work_;
}

WorkCount::~WorkCount() {
  counted_work = nullptr;
}

void count_convolution(const at::Tensor& weight, const at::Tensor& output) {
  if (counted_work != nullptr) {
    const double work = static_cast<double>(weight.numel()) * voxels_of(output);
    counted_work->convolution += work;
    counted_work->published += work;
  }
}

void count_transposed_convolution(const at::Tensor& weight, const at::Tensor& input, const at::Tensor& output) {
  if (counted_work != nullptr) {
    counted_work->convolution += static_cast<double>(weight.numel()) * voxels_of(input);
    counted_work->published += static_cast<double>(weight.numel()) * voxels_of(output);
  }
}

void count_linear(const at::Tensor& weight, const at::Tensor& input) {
  if (counted_work != nullptr) {
    counted_work->linear += static_cast<double>(weight.size(0)) * static_cast<double>(input.numel());
    counted_work->published += static_cast<double>(weight.numel()) * static_cast<double>(input.size(0));
  }
}

void count_attention(double mul_adds) {
  if (counted_work != nullptr) {
    counted_work->attention += mul_adds;
  }
}

Work work_of(const std::string& model, const Json& options, std::int64_t D, std::int64_t H, std::int64_t W) {
  use_meta_kernels();
  const at::NoGradGuard no_grad;
  const at::Tensor volume = at::empty({1, 1, D, H, W}, at::device(at::kMeta).dtype(at::kFloat));
  const auto network = make_model(model, options, {.without_data = true});
  const WorkCount count;
  network->forward(volume, volume);
  return count.work();
}

}  // namespace regatta
