// bench_kernels [FAMILY...]: a JSON line for each kernel, form and size of the families, or of all.
#include <cstdio>
#include <cstring>
#include <exception>

#include "gpu/kernels/bench.hpp"

namespace {

using regatta::kernels::Bench;

struct Family {
  const char* name;
  void (*run)(Bench&);
};

constexpr Family kFamilies[] = {{"adam", regatta::kernels::bench_adam},
                                {"compose", regatta::kernels::bench_compose},
                                {"conv", regatta::kernels::bench_conv},
                                {"features", regatta::kernels::bench_features},
                                {"field", regatta::kernels::bench_field},
                                {"gradient_guard", regatta::kernels::bench_gradient_guard},
                                {"image_losses", regatta::kernels::bench_image_losses},
                                {"lkunet", regatta::kernels::bench_lkunet},
                                {"losses", regatta::kernels::bench_losses},
                                {"matching", regatta::kernels::bench_matching},
                                {"ncc", regatta::kernels::bench_ncc},
                                {"tokens", regatta::kernels::bench_tokens},
                                {"window_attention", regatta::kernels::bench_window_attention}};

bool is_wanted(const char* name, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], name) == 0) {
      return true;
    }
  }
  return argc == 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Bench bench(0);
    for (const Family& family : kFamilies) {
      if (is_wanted(family.name, argc, argv)) {
        family.run(bench);
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_kernels: %s\n", error.what());
    return 1;
  }
  return 0;
}
