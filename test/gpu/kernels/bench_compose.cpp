#include "gpu/kernels/bench.hpp"
#include "gpu/kernels/random_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "regatta/kernels/compose.hpp"
#include "regatta/kernels/resize.hpp"

namespace regatta::kernels {
namespace {

constexpr VolumeSize kHalfSize = {1, 80, 96, 112};
constexpr int kSteps = 7;

/// Fields whose integral grows to about five voxels, and a derivative with noise.
struct ComposeScene {
  VolumeSize size;
  const char* name;
  double voxels;
  DeviceArray<float> velocity;
  DeviceArray<float> to_field;
  DeviceArray<float> field;
  DeviceArray<float> to_velocity;
  DeviceArray<Bf16> packed;
  DeviceArray<unsigned char> fields;
  DeviceArray<unsigned char> scratch;
  DeviceArray<std::uint32_t> overflows;

  ComposeScene(const VolumeSize& of, const char* called, double amplitude)
      : size(of),
        name(called),
        voxels(static_cast<double>(of.all())),
        velocity(smooth_flow(of, 1, amplitude)),
        to_field(normal_values(static_cast<std::size_t>(3 * of.all()), 2, 1e-6F)),
        field(velocity.size()),
        to_velocity(velocity.size()),
        packed(velocity.size() / 3 * 4),
        fields(squaring_field_bytes(of, kSteps, FieldStore::kSingle, true)),
        scratch(squaring_backward_scratch_bytes(of, true)),
        overflows(std::vector<std::uint32_t>{0}) {}

  SquaringForward forward(FieldStore store, Outside outside, bool keep) {
    SquaringForward work;
    work.velocity = velocity.get();
    work.size = size;
    work.steps = kSteps;
    work.outside = outside;
    work.store = store;
    work.keep = keep;
    work.fields = fields.get();
    work.field = field.get();
    return work;
  }
};

/// Floors: each step reads and writes its fields once.
void bench_squaring(Bench& bench, ComposeScene& scene) {
  struct Form {
    FieldStore store;
    const char* name;
    double bytes;
  };
  for (const Form& form : {Form{FieldStore::kHalf, "half", 8.0}, Form{FieldStore::kSingle, "single", 16.0}}) {
    const double forward_bytes = (24.0 + (2.0 * kSteps - 2.0) * form.bytes) * scene.voxels;
    const double backward_bytes = (12.0 + (kSteps - 1.0) * form.bytes + 2.0 * kSteps * 12.0) * scene.voxels;
    for (const Outside outside : {Outside::kBorder, Outside::kZero}) {
      const std::string name = std::string(form.name) + (outside == Outside::kBorder ? ", border" : ", zero");
      const SquaringForward work = scene.forward(form.store, outside, true);
      bench.time({"squaring_forward", scene.name, name, forward_bytes},
                 [&](Stream stream) { squaring_forward(work, stream); });
      bench.time({"squaring_backward", scene.name, name, backward_bytes}, [&](Stream stream) {
        squaring_backward(
            {work, scene.to_field.get(), {scene.to_velocity.get(), nullptr}, scene.scratch.get(), nullptr}, stream);
      });
    }
  }
  const SquaringForward work = scene.forward(FieldStore::kHalf, Outside::kBorder, true);
  squaring_forward(work, nullptr);
  bench.time({"squaring_backward", scene.name, "half, border, packed", 0.0}, [&](Stream stream) {
    squaring_backward({work, scene.to_field.get(), {nullptr, scene.packed.get()}, scene.scratch.get(), nullptr},
                      stream);
  });
  const SquaringForward lean = scene.forward(FieldStore::kHalf, Outside::kBorder, false);
  bench.time({"squaring_forward", scene.name, "half, border, not kept", 0.0},
             [&](Stream stream) { squaring_forward(lean, stream); });
}

void bench_pairs(Bench& bench, ComposeScene& scene) {
  const double v = scene.voxels;
  DeviceArray<float> to_outer(scene.velocity.size());
  for (const Outside outside : {Outside::kBorder, Outside::kZero}) {
    const char* name = outside == Outside::kBorder ? "border" : "zero";
    bench.time({"compose_forward", scene.name, name, 36.0 * v}, [&](Stream stream) {
      compose_forward({scene.velocity.get(), scene.velocity.get(), scene.size, outside, true, scene.field.get()},
                      stream);
    });
    bench.time({"compose_backward", scene.name, name, 60.0 * v}, [&](Stream stream) {
      compose_backward({scene.velocity.get(), scene.velocity.get(), scene.size, outside, true, scene.to_field.get(),
                        to_outer.get(), scene.to_velocity.get(), scene.scratch.get(), nullptr},
                       stream);
    });
  }
}

void bench_resize(Bench& bench, ComposeScene& full, ComposeScene& half) {
  for (const bool align_corners : {false, true}) {
    const std::string align = align_corners ? ", corners" : "";
    const Resize up = {half.size, full.size, align_corners, {2.0F, 2.0F, 2.0F}};
    const Resize down = {full.size, half.size, align_corners, {0.5F, 0.5F, 0.5F}};
    const double bytes = 12.0 * (full.voxels + half.voxels);
    bench.time({"resize_forward", full.name, "up" + align, bytes},
               [&](Stream stream) { resize_forward(up, half.velocity.get(), full.field.get(), stream); });
    bench.time({"resize_backward", full.name, "up" + align, bytes},
               [&](Stream stream) { resize_backward(up, full.to_field.get(), half.to_velocity.get(), stream); });
    bench.time({"resize_forward", full.name, "down" + align, bytes},
               [&](Stream stream) { resize_forward(down, full.velocity.get(), half.field.get(), stream); });
    bench.time({"resize_backward", full.name, "down" + align, bytes},
               [&](Stream stream) { resize_backward(down, half.to_field.get(), full.to_velocity.get(), stream); });
  }
}

}  // namespace

void bench_compose(Bench& bench) {
  ComposeScene full(kFullSize, "160x192x224", 5.0);
  ComposeScene half(kHalfSize, "80x96x112", 2.5);
  bench_squaring(bench, full);
  bench_squaring(bench, half);
  ComposeScene rough(kFullSize, "160x192x224, 20 voxels", 20.0);
  bench_squaring(bench, rough);
  bench_pairs(bench, full);
  bench_resize(bench, full, half);
}

}  // namespace regatta::kernels
