#include "regatta/kernels/up_conv.hpp"

#include "gpu/kernels/captured_work.hpp"
#include "gpu/kernels/up_conv_case.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr UpConvPass kPasses[] = {UpConvPass::kForward, UpConvPass::kInputGradient, UpConvPass::kWeightGradient};

void check_layers(const VolumeSize& size) {
  std::uint64_t seed = 3;
  for (const int channels : {16, 32}) {
    for (const bool prelu : {false, true}) {
      UpConvCase layer({size, channels, prelu, prelu}, capability(0), seed += 10);
      for (const UpConvPass pass : kPasses) {
        INFO(channels << " channels, PReLU " << prelu << ", pass " << static_cast<int>(pass));
        CHECK(layer.check(pass, true) < (pass == UpConvPass::kWeightGradient ? 2e-4 : 2.5e-3));
        if (prelu && pass == UpConvPass::kInputGradient) {
          CHECK(layer.slope_deviation() < 1e-4);
        }
        CHECK(layer.repeats(pass, [&] {
          layer.pack(nullptr);
          layer.queue(pass, nullptr);
        }));
        CHECK(layer.margins_hold());
      }
    }
  }
}

}  // namespace

TEST_CASE("transposed convolutions agree with the reference everywhere") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_layers({2, 13, 17, 19});
  check_layers({1, 1, 1, 1});
  check_layers({1, 18, 23, 35});
}

TEST_CASE("captured transposed convolutions give the same bytes as uncaptured ones") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  UpConvCase layer({{1, 10, 12, 14}, 16, true, true}, capability(0), 5);
  for (const UpConvPass pass : kPasses) {
    layer.check(pass, false);
    const CapturedWork in_graph([&](Stream stream) {
      layer.pack(stream);
      layer.queue(pass, stream);
    });
    INFO("pass " << static_cast<int>(pass));
    CHECK(layer.repeats(pass, [&] { in_graph.run(); }));
  }
}

}  // namespace regatta::kernels
