// Edits of weights files: what `regatta convert` does to tensors.
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <nlohmann/json.hpp>

#include "nn/layers/conv.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/weight_edit.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {
namespace {

std::vector<std::string> names_of(const SafetensorsFile& file) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : file.tensors) {
    names.push_back(name);
  }
  return names;
}

SafetensorsFile file_with(const std::vector<std::string>& names) {
  SafetensorsFile file;
  for (const std::string& name : names) {
    file.tensors.emplace_back(name, at::ones({2}));
  }
  return file;
}

SafetensorsFile file_of(const Parameters& parameters) {
  SafetensorsFile file;
  for (const Parameter& parameter : parameters.items()) {
    file.tensors.emplace_back(parameter.name, parameter.value.detach());
  }
  return file;
}

}  // namespace

TEST_CASE("prefixes are dropped and renamed, and two tensors never get one name") {
  SafetensorsFile file = file_with({"net1.a", "net1.b", "head", "optim/step"});
  CHECK(rename_prefix(file, "net1.", "") == 2);
  CHECK(drop_prefix(file, "he") == 1);
  CHECK(drop_training_state(file) == 1);
  CHECK(names_of(file) == std::vector<std::string>{"a", "b"});
  CHECK(rename_prefix(file, "x", "y") == 0);
  CHECK_THROWS_WITH(rename_prefix(file, "a", "b"), Catch::Contains("two tensors would be named 'b'"));
}

TEST_CASE("buffers of the reference programs are dropped by name, parameters that resemble them are not") {
  SafetensorsFile file = file_with({"transformer.grid", "integrate.transformer.grid", "x.attn.relative_position_index",
                                    "x.attn.relative_position_bias_table", "grid.weight"});
  CHECK(drop_reference_buffers(file) ==
        std::vector<std::string>{"transformer.grid", "integrate.transformer.grid", "x.attn.relative_position_index"});
  CHECK(names_of(file) == std::vector<std::string>{"x.attn.relative_position_bias_table", "grid.weight"});
}

TEST_CASE("a folded file loads into folded blocks, which then give the same results") {
  Parameters parallel;
  const LargeKernelConv wide(parallel, "a", 3, 5, false);
  set_golden_weights(parallel);
  SafetensorsFile file = file_of(parallel);
  CHECK(fold_large_kernels(file) == 1);
  CHECK(names_of(file) == std::vector<std::string>{"a.folded.weight", "a.folded.bias", "a.layer_nonlinearity.weight"});
  Parameters single;
  const LargeKernelConv folded(single, "a", 3, 5, true);
  CHECK(load_parameters(single, file, "file").empty());
  const at::Tensor x = noise(5, 6, 7, 1).to(at::kFloat).sub(0.5).expand({1, 3, 5, 6, 7}).contiguous();
  CHECK(relative_difference(folded({x}).value(), wide({x}).value()) < 1e-5);
  CHECK(fold_large_kernels(file) == 0);
}

TEST_CASE("a block that cannot be folded is refused with the tensor's name, and half-precision blocks stay halves") {
  Parameters parallel;
  const LargeKernelConv wide(parallel, "a", 2, 5, false);
  SafetensorsFile file = file_of(parallel);
  std::erase_if(file.tensors, [](const auto& item) { return item.first == "a.layer_oneKernel.0.bias"; });
  CHECK_THROWS_WITH(fold_large_kernels(file), "block 'a': 'a.layer_oneKernel.0.bias' is missing");
  file = file_of(parallel);
  file.tensors[0].second = at::ones({2, 2, 4, 4, 4});
  CHECK_THROWS_WITH(fold_large_kernels(file), Catch::Contains("a kernel is [2, 2, 4, 4, 4], expected [2, 2, k, k, k]"));
  file = file_of(parallel);
  CHECK(convert_to_half(file) == 7);
  CHECK(fold_large_kernels(file) == 1);
  CHECK(file.tensors[0].second.scalar_type() == at::kHalf);
}

TEST_CASE("weights in half the bytes load into float32 parameters, with a note, strict on names and shapes") {
  Parameters parameters;
  const at::Tensor a = parameters.add("a", {2}, Init::constant(0.0));
  const at::Tensor b = parameters.add("b", {3}, Init::constant(0.0));
  SafetensorsFile file;
  file.tensors = {{"a", at::full({2}, 0.5)}, {"b", at::full({3}, 2.0).to(at::kBFloat16)}};
  CHECK(convert_to_half(file) == 2);
  CHECK(load_parameters(parameters, file, "x") == "2 tensors from F16 to F32");
  CHECK(a.eq(0.5).all().item<bool>());
  CHECK(b.eq(2.0).all().item<bool>());
  CHECK(convert_to_float(file) == 2);
  CHECK(load_parameters(parameters, file, "x").empty());
  file.tensors[1].second = at::full({3}, 3.0).to(at::kBFloat16);
  CHECK(load_parameters(parameters, file, "x") == "1 tensors from BF16 to F32");
  file.tensors[1].second = at::ones({4}).to(at::kHalf);
  CHECK_THROWS_WITH(load_parameters(parameters, file, "x"), "x: 'b' is [4], expected [3]");
  file.tensors[1].second = at::ones({3}).to(at::kDouble);
  CHECK_THROWS_WITH(load_parameters(parameters, file, "x"), "x: 'b' is Double, expected Float");
}

TEST_CASE("a value that float16 cannot hold is refused, an infinity stays one") {
  SafetensorsFile file;
  file.tensors = {{"count", at::arange(3)}, {"large", at::full({2}, 1e5)}};
  CHECK_THROWS_WITH(convert_to_half(file), "tensor 'large' has a value too large for F16");
  file.tensors[1].second = at::full({2}, HUGE_VAL);
  CHECK(convert_to_half(file) == 1);
  CHECK(file.tensors[0].second.scalar_type() == at::kLong);
}

TEST_CASE("a check of names and shapes needs no values on either side") {
  Parameters parameters({.without_data = true});
  parameters.add("a", {2}, Init::constant(0.0));
  SafetensorsFile file;
  file.tensors = {{"a", at::ones({2}).to(at::kMeta)}};
  check_parameters(parameters, file, "x");
  file.tensors = {{"a", at::ones({3}).to(at::kMeta)}, {"b", at::ones({1}).to(at::kMeta)}};
  CHECK_THROWS_WITH(check_parameters(parameters, file, "x"),
                    "x: 'a' is [3], expected [2]; 'b' is not a parameter of this network");
}

}  // namespace regatta::test
