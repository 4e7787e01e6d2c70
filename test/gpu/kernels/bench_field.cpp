#include <utility>

#include "gpu/kernels/bench.hpp"
#include "gpu/kernels/bench_scene.hpp"
#include "gpu/kernels/random_values.hpp"
#include "regatta/kernels/jacobian.hpp"
#include "regatta/kernels/label_overlap.hpp"
#include "regatta/kernels/pack.hpp"

namespace regatta::kernels {
namespace {

constexpr const char* kSize = "160x192x224";

void bench_warp(Bench& bench, BenchScene& scene) {
  const double v = scene.voxels;
  bench.time({"pack_quads", kSize, "", 5.0 * v},
             [&](Stream stream) { pack_quads(scene.moving.get(), scene.size, scene.quads.get(), stream); });
  struct Form {
    SourceType type;
    const char* name;
    double bytes;
  };
  for (const Form& form : {Form{SourceType::kBytes, "bytes", 1.0}, Form{SourceType::kQuads, "quads", 4.0}}) {
    const std::string name = form.name;
    const auto forward = [&](Penalty penalty) {
      return [&scene, work = scene.forward(form.type, penalty)](Stream stream) { warp_forward(work, stream); };
    };
    const auto backward = [&](Penalty penalty, const FieldGradient& to) {
      return [&scene, work = scene.backward(form.type, penalty, to)](Stream stream) { warp_backward(work, stream); };
    };
    const FieldGradient planar = {scene.planar.get(), nullptr};
    const FieldGradient packed = {nullptr, scene.packed.get()};
    bench.time({"warp_forward", kSize, name, (16.0 + form.bytes) * v}, forward(Penalty::kNone));
    bench.time({"warp_forward", kSize, name + ", l2", (16.0 + form.bytes) * v}, forward(Penalty::kSquared));
    bench.time({"warp_backward", kSize, name + ", planar", (28.0 + form.bytes) * v}, backward(Penalty::kNone, planar));
    bench.time({"warp_backward", kSize, name + ", packed", (24.0 + form.bytes) * v}, backward(Penalty::kNone, packed));
    bench.time({"warp_backward", kSize, name + ", l2, planar", (28.0 + form.bytes) * v},
               backward(Penalty::kSquared, planar));
    bench.time({"warp_backward", kSize, name + ", l2, packed", (24.0 + form.bytes) * v},
               backward(Penalty::kSquared, packed));
  }
}

void bench_diffusion(Bench& bench, BenchScene& scene, Penalty penalty, DiffusionUnits units) {
  const double v = scene.voxels;
  const std::string name =
      std::string(penalty == Penalty::kSquared ? "l2" : "l1") + (units == DiffusionUnits::kLku ? ", LKU units" : "");
  bench.time({"diffusion_forward", kSize, name, 12.0 * v}, [&](Stream stream) {
    diffusion_forward(scene.flow.get(), scene.size, penalty, 1.0, scene.loss.get(), scene.scratch.get(), stream, units);
  });
  const auto backward = [&](const FieldGradient& to) {
    return [&scene, penalty, units, to](Stream stream) {
      diffusion_backward(scene.flow.get(), scene.size, penalty, 1.0, nullptr, to, stream, units);
    };
  };
  bench.time({"diffusion_backward", kSize, name + ", planar", 24.0 * v}, backward({scene.planar.get(), nullptr}));
  bench.time({"diffusion_backward", kSize, name + ", packed", 20.0 * v}, backward({nullptr, scene.packed.get()}));
}

void bench_labels(Bench& bench, BenchScene& scene) {
  const DeviceArray<std::uint8_t> fixed(head_labels(scene.size, 0.0, 46));
  const DeviceArray<std::uint8_t> moving(head_labels(scene.size, 0.1, 46));
  DeviceArray<std::int64_t> counts(kLabelRows * kLabelValues);
  for (const LabelWarp warp : {LabelWarp::kNearest, LabelWarp::kLargestWeight}) {
    const char* form = warp == LabelWarp::kNearest ? "46 labels, nearest" : "46 labels, largest weight";
    bench.time({"label_counts", kSize, form, 14.0 * scene.voxels}, [&](Stream stream) {
      label_counts(fixed.get(), moving.get(), scene.flow.get(), scene.size, warp, counts.get(), stream);
    });
  }
}

void bench_jacobian(Bench& bench, BenchScene& scene) {
  const DeviceArray<std::uint8_t> mask(head_labels(scene.size, 0.0, 2));
  DeviceArray<double> sums(kJacobianSums);
  DeviceArray<unsigned char> scratch(jacobian_scratch_bytes(scene.size));
  for (const std::uint8_t* inside : {static_cast<const std::uint8_t*>(nullptr), std::as_const(mask).get()}) {
    const double bytes = inside == nullptr ? 12.0 : 13.0;
    bench.time({"jacobian_sums", kSize, inside == nullptr ? "" : "masked", bytes * scene.voxels}, [&](Stream stream) {
      jacobian_sums(scene.flow.get(), inside, scene.size, {}, sums.get(), scratch.get(), stream);
    });
  }
}

void bench_pack(Bench& bench, BenchScene& scene) {
  const double v = scene.voxels;
  const DeviceArray<float> first(uniform_values(scene.count, 1, 0.0F, 1.0F));
  DeviceArray<Bf16> pair(2 * scene.count);
  bench.time({"pack_pair", kSize, "bytes", 6.0 * v}, [&](Stream stream) {
    pack_pair(scene.fixed.get(), scene.moving.get(), ImageType::kBytes, scene.size, pair.get(), stream);
  });
  bench.time({"pack_pair", kSize, "floats", 12.0 * v}, [&](Stream stream) {
    pack_pair(first.get(), scene.to_warped.get(), ImageType::kFloats, scene.size, pair.get(), stream);
  });
  bench.time({"to_fixed_point", kSize, "", 8.0 * v},
             [&](Stream stream) { to_fixed_point(first.get(), scene.warped.get(), scene.size.all(), stream); });
  bench.time({"pack_field", kSize, "", 20.0 * v},
             [&](Stream stream) { pack_field(scene.flow.get(), scene.size, scene.packed.get(), stream); });
  bench.time({"unpack_field", kSize, "", 20.0 * v},
             [&](Stream stream) { unpack_field(scene.packed.get(), scene.size, scene.planar.get(), stream); });
}

}  // namespace

void bench_field(Bench& bench) {
  BenchScene scene;
  scene.to_warped.set(normal_values(scene.count, 4, 1e-7F));
  bench_warp(bench, scene);
  for (const Penalty penalty : {Penalty::kSquared, Penalty::kAbsolute}) {
    bench_diffusion(bench, scene, penalty, DiffusionUnits::kVoxels);
    bench_diffusion(bench, scene, penalty, DiffusionUnits::kLku);
  }
  bench_labels(bench, scene);
  bench_jacobian(bench, scene);
  bench_pack(bench, scene);
}

}  // namespace regatta::kernels
