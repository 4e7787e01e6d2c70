// Window attention at the stages of the registration transformers, at 160x192x224.
#include <string>

#include "gpu/kernels/bench.hpp"
#include "gpu/kernels/window_attention_case.hpp"

namespace regatta::kernels {
namespace {

struct Stage {
  const char* name;
  VolumeSize size;
  int heads;
  int head_size;
};

constexpr Stage kStages[] = {{"base 1", {1, 40, 48, 56}, 4, 24},  {"base 2", {1, 20, 24, 28}, 4, 48},
                             {"base 3", {1, 10, 12, 14}, 8, 48},  {"base 4", {1, 5, 6, 7}, 8, 96},
                             {"small 1", {1, 40, 48, 56}, 4, 12}, {"large 1", {1, 40, 48, 56}, 4, 32},
                             {"large 2", {1, 20, 24, 28}, 4, 64}};

}  // namespace

void bench_window_attention(Bench& bench) {
  for (const Stage& stage : kStages) {
    for (const bool rolled : {false, true}) {
      WindowAttention shape;
      shape.size = stage.size;
      shape.heads = stage.heads;
      shape.head_size = stage.head_size;
      if (rolled) {
        shape.shift = {2, 3, 3};
      }
      WindowAttentionCase attention(shape, true, bench.chip(), 1.0F, 11);
      const WindowAttentionCase::Errors errors = attention.check(false);
      const std::string size = std::to_string(stage.size.d) + "x" + std::to_string(stage.size.h) + "x" +
                               std::to_string(stage.size.w) + ", " + std::to_string(stage.heads) + " x " +
                               std::to_string(stage.head_size);
      const std::string form = std::string(stage.name) + (rolled ? ", rolled" : "");
      bench.time(
          {"window_attention_forward", size, form, attention.forward_bytes(), 4.0 * attention.pairs(), errors.out},
          [&](Stream stream) { attention.queue_forward(true, stream); });
      bench.time({"window_attention_backward", size, form, attention.backward_bytes(), 10.0 * attention.pairs(),
                  errors.to_query},
                 [&](Stream stream) { attention.queue_backward(stream); });
    }
  }
}

}  // namespace regatta::kernels
