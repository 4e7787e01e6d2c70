#include "train/gradient_buckets.hpp"

#include <algorithm>
#include <utility>

namespace regatta {

void sum_over_members_(Comm& comm, std::vector<at::Tensor>& gradients, const at::Tensor& losses,
                       std::int64_t bucket_values) {
  std::vector<at::Tensor> bucket;
  std::int64_t values = 0;
  for (std::size_t i = gradients.size(); i-- > 0;) {
    gradients[i] = gradients[i].contiguous();
    bucket.push_back(gradients[i]);
    values += gradients[i].numel();
    if (values >= bucket_values && i > 0) {
      comm.all_reduce_(std::exchange(bucket, {}));
      values = 0;
    }
  }
  bucket.push_back(losses);
  comm.all_reduce_(bucket);
}

void sum_flat_over_members_(Comm& comm, const at::Tensor& gradient, const at::Tensor& losses,
                            std::int64_t bucket_values) {
  std::int64_t end = gradient.numel();
  for (; end > bucket_values; end -= bucket_values) {
    comm.all_reduce_({gradient.narrow(0, end - bucket_values, bucket_values)});
  }
  comm.all_reduce_({gradient.narrow(0, 0, end), losses});
}

}  // namespace regatta
