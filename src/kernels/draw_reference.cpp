#include "regatta/kernels/draw.hpp"

namespace regatta::kernels {
namespace {

template <class T, class Number>
std::vector<T> draw(const DrawKey& key, std::int64_t step, std::int64_t count, const Number& number) {
  const CounterRng rng(key.seed, key.purpose);
  const std::uint64_t place = static_cast<std::uint64_t>(step) + (std::uint64_t{key.stream} << 48);
  std::vector<T> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<T>(number(rng, place, key.first + static_cast<std::uint32_t>(i)));
  }
  return out;
}

}  // namespace

std::vector<double> draw_uniform_reference(const DrawKey& key, std::int64_t step, std::int64_t count) {
  return draw<double>(key, step, count,
                      [](const CounterRng& rng, std::uint64_t a, std::uint32_t b) { return rng.uniform(a, b); });
}

std::vector<float> draw_normal_reference(const DrawKey& key, std::int64_t step, std::int64_t count) {
  return draw<float>(key, step, count,
                     [](const CounterRng& rng, std::uint64_t a, std::uint32_t b) { return rng.normal(a, b); });
}

}  // namespace regatta::kernels
