#include "regatta/kernels/pack.hpp"

#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/random_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {

TEST_CASE("pairs of images are packed side by side") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : small_sizes()) {
    const auto count = static_cast<std::size_t>(size.all());
    const std::vector<std::uint8_t> first = head_image(size, 1);
    const std::vector<std::uint8_t> second = head_image(size, 2);
    const std::vector<float> third = normal_values(count, 3);
    const std::vector<float> fourth = normal_values(count, 4);
    const DeviceArray<std::uint8_t> device_first(first);
    const DeviceArray<std::uint8_t> device_second(second);
    const DeviceArray<float> device_third(third);
    const DeviceArray<float> device_fourth(fourth);
    DeviceArray<Bf16> of_bytes(2 * count);
    DeviceArray<Bf16> of_floats(2 * count);
    pack_pair(device_first.get(), device_second.get(), ImageType::kBytes, size, of_bytes.get(), nullptr);
    pack_pair(device_third.get(), device_fourth.get(), ImageType::kFloats, size, of_floats.get(), nullptr);
    wait_for_gpu();
    std::vector<Bf16> bytes;
    std::vector<Bf16> floats;
    for (std::size_t i = 0; i < count; ++i) {
      bytes.push_back(to_bf16(static_cast<float>(first[i]) / 255.0F));
      bytes.push_back(to_bf16(static_cast<float>(second[i]) / 255.0F));
      floats.push_back(to_bf16(third[i]));
      floats.push_back(to_bf16(fourth[i]));
    }
    CHECK(same_bits(of_bytes.values(), bytes));
    CHECK(same_bits(of_floats.values(), floats));
    CHECK(of_bytes.margins_hold());
    CHECK(of_floats.margins_hold());
  }
}

TEST_CASE("fields are packed and unpacked") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : small_sizes()) {
    const auto voxels = static_cast<std::size_t>(size.voxels());
    const std::vector<float> flow = smooth_flow(size, 1, 5.0);
    const DeviceArray<float> planar(flow);
    DeviceArray<Bf16> packed(flow.size() / 3 * 4);
    DeviceArray<float> back(flow.size());
    pack_field(planar.get(), size, packed.get(), nullptr);
    unpack_field(packed.get(), size, back.get(), nullptr);
    wait_for_gpu();
    std::vector<Bf16> expected(packed.size(), Bf16{0});
    std::vector<float> rounded(flow.size());
    for (std::size_t i = 0; i < flow.size(); ++i) {
      const std::size_t c = i / voxels % 3;
      expected[4 * (i / (3 * voxels) * voxels + i % voxels) + c] = to_bf16(flow[i]);
      rounded[i] = to_float(to_bf16(flow[i]));
    }
    CHECK(same_bits(packed.values(), expected));
    CHECK(same_bits(back.values(), rounded));
    CHECK(packed.margins_hold());
    CHECK(back.margins_hold());
  }
}

}  // namespace regatta::kernels
