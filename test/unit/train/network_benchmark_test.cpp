// What `regatta bench networks` measures, at a size that takes no time.
#include "regatta/train/network_benchmark.hpp"

#include <cmath>

#include "regatta/nn/weights.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta {
namespace {

NetworkBenchmarkOptions tiny() {
  NetworkBenchmarkOptions options;
  options.model = "voxelmorph-1";
  options.shape = {16, 16, 32};
  options.warmup = 1;
  options.steps = 2;
  options.run.device = "cpu";
  return options;
}

TEST_CASE("a network's step and inference are timed, with a finite loss and gradients in every parameter") {
  const NetworkTimes times = benchmark_network(tiny());
  CHECK(times.parameters == 274387);
  CHECK(times.step_ms.size() == 2);
  CHECK(times.forward_ms.size() == 2);
  CHECK(times.inference_ms.size() == 2);
  CHECK(std::isfinite(times.loss));
  CHECK(times.loss != 0.0);
  CHECK(times.mean_field > 1.0);
  CHECK(times.gradient_norm > 0.0);
  CHECK(times.without_gradient == 0);
  CHECK(times.forecast.training > times.forecast.inference);
  CHECK(times.measured.training == 0);
  CHECK(times.host_bytes_peak >= times.host_bytes_before);
  CHECK(times.host_bytes_before > 0);
}

TEST_CASE("weights written by a benchmark give the same field when read by another") {
  const test::TemporaryFolder folder;
  NetworkBenchmarkOptions options = tiny();
  options.inference_only = true;
  options.save_weights = (folder.path() / "w.safetensors").string();
  options.save_flow = (folder.path() / "a.safetensors").string();
  CHECK(benchmark_network(options).step_ms.empty());
  options.weights = std::exchange(options.save_weights, "");
  options.save_flow = (folder.path() / "b.safetensors").string();
  benchmark_network(options);
  const at::Tensor a = read_safetensors(folder.path() / "a.safetensors").tensors.at(0).second;
  const at::Tensor b = read_safetensors(folder.path() / "b.safetensors").tensors.at(0).second;
  CHECK(a.sizes() == at::IntArrayRef({1, 3, 16, 16, 32}));
  CHECK(a.equal(b));
}

TEST_CASE("a size that the network does not take is refused before anything runs") {
  NetworkBenchmarkOptions options = tiny();
  options.shape = {16, 16, 33};
  CHECK_THROWS_WITH(benchmark_network(options), Catch::Contains("multiple of 16"));
}

}  // namespace
}  // namespace regatta
