// Choice of a device on a machine with or without a GPU.
#include "regatta/base/error.hpp"
#include "regatta/nn/device.hpp"
#include "support/catch.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

namespace regatta::test {

TEST_CASE("cpu is always there and has no device memory") {
  const c10::Device device = choose_device("cpu");
  CHECK(device.is_cpu());
  CHECK(device_name(device) == "cpu");
  CHECK(peak_device_bytes(device) == 0);
  reset_peak(device);
  synchronize(device);
}

TEST_CASE("a device that is unknown or not there is refused in one line") {
  CHECK_THROWS_WITH(choose_device("gpu"), "device 'gpu', allowed: auto, cpu, cuda:N");
  CHECK_THROWS_AS(choose_device("cuda:"), ConfigError);
  CHECK_THROWS_AS(choose_device("cuda:-1"), ConfigError);
  CHECK_THROWS_AS(choose_device("cuda:1x"), ConfigError);
  CHECK_THROWS_AS(choose_device(""), ConfigError);
  CHECK_THROWS_AS(choose_device("cuda:100"), DeviceError);
}

TEST_CASE("auto takes the first GPU if there is one, else the cpu") {
  const c10::Device device = choose_device("auto");
  const bool expected = device.is_cpu() || (device.is_cuda() && device.index() == 0);
  CHECK(expected);
  CHECK_FALSE(device_name(device).empty());
}

TEST_CASE("determinism and threads are set as asked") {
  set_deterministic(true);
  CHECK(at::globalContext().deterministicCuDNN());
  CHECK_FALSE(at::globalContext().benchmarkCuDNN());
  CHECK(at::globalContext().allowTF32CuDNN());
  CHECK_FALSE(at::globalContext().allowTF32CuBLAS());
  set_deterministic(false);
  CHECK_FALSE(at::globalContext().allowTF32CuDNN());
  const int before = at::get_num_threads();
  set_cpu_threads(1);
  CHECK(at::get_num_threads() == 1);
  set_cpu_threads(before);
  CHECK_THROWS_AS(set_cpu_threads(0), ConfigError);
  CHECK(torch_version_text().starts_with("LibTorch 2."));
}

}  // namespace regatta::test
