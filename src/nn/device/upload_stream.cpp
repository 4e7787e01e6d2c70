// Uploads on a stream of their own, by LibTorch's device-independent streams and events.
#include <optional>

#include <ATen/ops/empty.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "regatta/nn/device.hpp"

namespace regatta {

struct UploadStream::Impl {
  explicit Impl(const c10::Device& device)
      : guard(device.type()), stream(guard.getStreamFromGlobalPool(device)), used(device.type()) {}

  c10::impl::VirtualGuardImpl guard;
  c10::Stream stream;
  c10::Event used;
};

UploadStream::UploadStream(const c10::Device& device)
    : device_(device), impl_(device.is_cuda() ? std::make_unique<Impl>(device) : nullptr) {}

UploadStream::~UploadStream() = default;

at::Tensor UploadStream::staging(at::IntArrayRef sizes, at::ScalarType type) const {
  return at::empty(sizes, at::dtype(type).pinned_memory(impl_ != nullptr));
}

void UploadStream::mark_used() {
  if (impl_) {
    impl_->used.record(impl_->guard.getStream(device_));
  }
}

void UploadStream::wait_for_mark() {
  if (impl_ && impl_->used.was_marked_for_recording()) {
    impl_->used.block(impl_->stream);
  }
}

void UploadStream::upload(const at::Tensor& to, const at::Tensor& from) {
  if (!impl_) {
    to.copy_(from);
    return;
  }
  const c10::StreamGuard guard(impl_->stream);
  to.copy_(from, true);
  impl_->stream.synchronize();
}

}  // namespace regatta
