#include "regatta/kernels/neighbourhood_attention.hpp"

#include <cmath>
#include <vector>

#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/feature_values.hpp"
#include "gpu/kernels/random_values.hpp"
#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

/// Arrays of both passes.
struct Layer {
  NeighbourhoodShape shape;
  Capability chip = capability(0);
  std::vector<Bf16> q, k;
  std::vector<float> beta, g;
  DeviceArray<Bf16> query, key, to_query, to_key;
  DeviceArray<float> factor, field, to_field, to_factor;
  DeviceArray<unsigned char> scratch;

  explicit Layer(const NeighbourhoodShape& of)
      : shape(of),
        q(random_bf16(of.size.all() * of.channels, 1)),
        k(random_bf16(of.key_size().all() * of.channels, 2)),
        beta({0.7F}),
        g(normal_values(static_cast<std::size_t>(3 * of.size.all()), 3)),
        query(q),
        key(k),
        to_query(q.size()),
        to_key(k.size()),
        factor(beta),
        field(g.size()),
        to_field(g),
        to_factor(1),
        scratch(neighbourhood_scratch_bytes(of)) {}

  void queue(Stream stream) {
    neighbourhood_forward(shape, {query.get(), key.get(), factor.get(), field.get()}, chip, stream);
    neighbourhood_backward(shape,
                           {query.get(), key.get(), factor.get(), to_field.get(), to_query.get(), to_key.get(),
                            to_factor.get(), scratch.get()},
                           chip, stream);
  }

  void poison() {
    field.poison();
    to_query.poison();
    to_key.poison();
    to_factor.poison();
    scratch.poison();
  }

  bool margins_hold() const {
    return field.margins_hold() && to_query.margins_hold() && to_key.margins_hold() && to_factor.margins_hold() &&
           scratch.margins_hold();
  }
};

void check_layer(const NeighbourhoodShape& shape) {
  INFO(shape.channels << " channels, " << shape.size.n << "x" << shape.size.d << "x" << shape.size.h << "x"
                      << shape.size.w << ", inside " << shape.inside);
  Layer layer(shape);
  layer.queue(nullptr);
  wait_for_gpu();
  const auto field = layer.field.values();
  const auto to_query = layer.to_query.values();
  const auto to_key = layer.to_key.values();
  const auto to_factor = layer.to_factor.values();
  const double beta = layer.beta[0];
  const auto expected = neighbourhood_reference(shape, layer.q.data(), layer.k.data(), beta);
  const auto gradients = neighbourhood_gradient_reference(shape, layer.q.data(), layer.k.data(), beta, layer.g.data());
  CHECK(relative_error(field, expected) < 2e-6);
  CHECK(relative_error(to_doubles(to_query), gradients.to_query) < 2.2e-3);
  CHECK(relative_error(to_doubles(to_key), gradients.to_key) < 2.2e-3);
  CHECK(std::fabs(to_factor[0] - gradients.to_factor) < 1e-5 * std::sqrt(static_cast<double>(shape.size.all())));
  CHECK(layer.margins_hold());
  layer.poison();
  layer.queue(nullptr);
  wait_for_gpu();
  CHECK(same_bits(field, layer.field.values()));
  CHECK(same_bits(to_query, layer.to_query.values()));
  CHECK(same_bits(to_key, layer.to_key.values()));
  CHECK(same_bits(to_factor, layer.to_factor.values()));
}

}  // namespace

TEST_CASE("attention over 27 neighbours agrees with float64 for all counts of channels") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const bool inside : {false, true}) {
    for (const int channels : {8, 16, 24, 32, 64, 128}) {
      check_layer({{2, 5, 7, 9}, channels, inside});
    }
    check_layer({{2, 13, 17, 19}, 8, inside});
    check_layer({{1, 37, 45, 70}, 8, inside});
    check_layer({{1, 10, 12, 14}, 64, inside});
    check_layer({{1, 1, 1, 1}, 8, inside});
    check_layer({{3, 2, 1, 33}, 16, inside});
  }
}

TEST_CASE("equal keys are matched nowhere else") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Layer layer({{1, 5, 7, 9}, 8, true});
  layer.key.set(std::vector<Bf16>(layer.k.size(), to_bf16(0.3F)));
  layer.queue(nullptr);
  wait_for_gpu();
  for (const float value : layer.field.values()) {
    REQUIRE(value == 0.0F);
  }
}

TEST_CASE("captured attention over neighbours gives the same bytes as uncaptured one") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Layer layer({{2, 13, 17, 19}, 16, true});
  layer.queue(nullptr);
  wait_for_gpu();
  const auto field = layer.field.values();
  const auto to_key = layer.to_key.values();
  const auto to_factor = layer.to_factor.values();
  replay([&](Stream stream) { layer.queue(stream); }, [&] { layer.poison(); });
  CHECK(same_bits(field, layer.field.values()));
  CHECK(same_bits(to_key, layer.to_key.values()));
  CHECK(same_bits(to_factor, layer.to_factor.values()));
}

TEST_CASE("attention over neighbours of full-size volumes: planes of both ends") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const NeighbourhoodShape shape = {{1, 160, 192, 224}, 8, true};
  Layer layer(shape);
  layer.queue(nullptr);
  wait_for_gpu();
  // Planes that see only planes of their own: a thinner volume has the same ones, but for where places are held.
  constexpr std::int64_t kPlanes = 4;
  const NeighbourhoodShape thin = {{1, kPlanes, 192, 224}, 8, false};
  const auto field = layer.field.values();
  const auto to_query = layer.to_query.values();
  for (const std::int64_t first : {std::int64_t{1}, std::int64_t{159 - kPlanes}}) {
    const auto part = [&](const std::vector<Bf16>& all, const VolumeSize& size, std::int64_t planes) {
      const auto from = all.begin() + first * size.plane() * 8;
      return std::vector<Bf16>(from, from + planes * size.plane() * 8);
    };
    const auto q = part(layer.q, shape.size, kPlanes);
    const auto k = part(layer.k, shape.key_size(), kPlanes + 2);
    const auto expected = neighbourhood_reference(thin, q.data(), k.data(), layer.beta[0]);
    double most = 0.0;
    for (std::int64_t axis = 0; axis < 3; ++axis) {
      for (std::int64_t z = 0; z < kPlanes; ++z) {
        for (std::int64_t y = 1; y < 191; ++y) {  // beta < 1: only the outer voxels' places are held
          for (std::int64_t x = 1; x < 223; ++x) {
            const std::int64_t in_plane = y * 224 + x;
            const double found = field[(axis * 160 + first + z) * 192 * 224 + in_plane];
            most = std::max(most, std::fabs(found - expected[(axis * kPlanes + z) * 192 * 224 + in_plane]));
          }
        }
      }
    }
    CHECK(most < 2e-6);
    CHECK(std::isfinite(to_float(to_query[first * 192 * 224 * 8])));
  }
  CHECK(layer.margins_hold());
}

TEST_CASE("attention over neighbours refuses what it has no kernels for, and missing arrays") {
  const Capability chip = {9, 0, 132, 232448};
  alignas(16) Bf16 memory[9];
  float number[3];
  const NeighbourhoodShape shape = {{1, 1, 1, 1}, 8, false};
  CHECK_THROWS_AS(neighbourhood_forward({shape.size, 12, false}, {memory, memory, number, number}, chip, nullptr),
                  BugError);
  CHECK_THROWS_AS(neighbourhood_forward(shape, {memory + 1, memory, number, number}, chip, nullptr), BugError);
  CHECK_THROWS_AS(neighbourhood_forward(shape, {memory, memory, nullptr, number}, chip, nullptr), BugError);
  CHECK_THROWS_AS(
      neighbourhood_backward(shape, {memory, memory, number, number, memory, memory, nullptr, memory}, chip, nullptr),
      BugError);
}

}  // namespace regatta::kernels
