#include "regatta/kernels/mind.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/mind_form.hpp"

namespace regatta::kernels {
namespace {

using Volume = std::vector<double>;

/// A grid whose positions outside are moved to the border.
class Grid {
 public:
  explicit Grid(const VolumeSize& size) : lengths_{size.d, size.h, size.w}, steps_{size.h * size.w, size.w, 1} {}

  std::int64_t count() const { return lengths_[0] * steps_[0]; }

  /// The voxel `offset` away along an axis.
  std::size_t moved(std::int64_t i, int axis, std::int64_t offset) const {
    const auto a = static_cast<std::size_t>(axis);
    const std::int64_t at = i / steps_[a] % lengths_[a];
    return static_cast<std::size_t>(i + (std::clamp<std::int64_t>(at + offset, 0, lengths_[a] - 1) - at) * steps_[a]);
  }

 private:
  std::array<std::int64_t, 3> lengths_, steps_;
};

Volume box_mean(Volume volume, const Grid& grid, int radius) {
  for (int axis = 0; axis < 3; ++axis) {
    Volume out(volume.size());
    for (std::int64_t i = 0; i < grid.count(); ++i) {
      for (int o = -radius; o <= radius; ++o) {
        out[static_cast<std::size_t>(i)] += volume[grid.moved(i, axis, o)] / (2 * radius + 1);
      }
    }
    volume = std::move(out);
  }
  return volume;
}

/// The adjoint of `box_mean`.
Volume box_spread(Volume volume, const Grid& grid, int radius) {
  for (int axis = 0; axis < 3; ++axis) {
    Volume out(volume.size());
    for (std::int64_t i = 0; i < grid.count(); ++i) {
      for (int o = -radius; o <= radius; ++o) {
        out[grid.moved(i, axis, o)] += volume[static_cast<std::size_t>(i)] / (2 * radius + 1);
      }
    }
    volume = std::move(out);
  }
  return volume;
}

/// One volume's descriptor.
class Descriptor {
 public:
  Descriptor(const float* image, const Grid& grid, const MindPair& pair) : image_(image), grid_(grid), pair_(pair) {
    const auto count = static_cast<std::size_t>(grid.count());
    for (int c = 0; c < kMindChannels; ++c) {
      Volume squares(count);
      for (std::int64_t i = 0; i < grid.count(); ++i) {
        squares[static_cast<std::size_t>(i)] = difference(i, c) * difference(i, c);
      }
      distances_.push_back(box_mean(std::move(squares), grid, pair.radius));
    }
    least_ = distances_[0];
    Volume mean(count);
    for (std::size_t i = 0; i < count; ++i) {
      for (const Volume& distance : distances_) {
        least_[i] = std::min(least_[i], distance[i]);
        mean[i] += distance[i] / kMindChannels;
      }
      mean[i] -= least_[i];
      average_ += mean[i] / static_cast<double>(count);
    }
    for (const double of : mean) {
      const double held = std::max(std::clamp(of, kMindLowest * average_, kMindHighest * average_), kMindFlat);
      scale_.push_back(held);
      is_free_.push_back(held == of);
    }
  }

  double value(std::size_t i, int channel) const { return std::exp(-excess(i, channel) / scale_[i]); }

  /// @param slopes  d loss / d descriptor, [channel][voxel]
  Volume gradient(const std::vector<Volume>& slopes) const {
    const auto count = static_cast<std::size_t>(grid_.count());
    std::vector<Volume> to_distances(kMindChannels, Volume(count));
    for (std::size_t i = 0; i < count; ++i) {
      double to_least = 0.0;
      double to_scale = 0.0;
      double ties = 0.0;
      for (int c = 0; c < kMindChannels; ++c) {
        const double direct = -value(i, c) * slopes[static_cast<std::size_t>(c)][i] / scale_[i];
        to_distances[static_cast<std::size_t>(c)][i] = direct;
        to_least -= direct;
        to_scale -= is_free_[i] ? excess(i, c) / scale_[i] * direct : 0.0;
        ties += excess(i, c) == 0.0 ? 1.0 : 0.0;
      }
      for (int c = 0; c < kMindChannels; ++c) {
        to_distances[static_cast<std::size_t>(c)][i] +=
            to_scale / kMindChannels + (excess(i, c) == 0.0 ? (to_least - to_scale) / ties : 0.0);
      }
    }
    Volume out(count);
    for (int c = 0; c < kMindChannels; ++c) {
      const MindNeighbours at = mind_channel(c);
      const Volume to_squares = box_spread(std::move(to_distances[static_cast<std::size_t>(c)]), grid_, pair_.radius);
      for (std::int64_t i = 0; i < grid_.count(); ++i) {
        const double slope = 2.0 * difference(i, c) * to_squares[static_cast<std::size_t>(i)];
        out[seen(i, at.first_axis, at.first_up)] += slope;
        out[seen(i, at.second_axis, at.second_up)] -= slope;
      }
    }
    return out;
  }

 private:
  std::size_t seen(std::int64_t i, int axis, bool up) const {
    return grid_.moved(i, axis, up ? pair_.dilation : -pair_.dilation);
  }

  double difference(std::int64_t i, int channel) const {
    const MindNeighbours at = mind_channel(channel);
    return static_cast<double>(image_[seen(i, at.first_axis, at.first_up)]) -
           static_cast<double>(image_[seen(i, at.second_axis, at.second_up)]);
  }

  double excess(std::size_t i, int channel) const {
    return distances_[static_cast<std::size_t>(channel)][i] - least_[i];
  }

  const float* image_;
  const Grid& grid_;
  const MindPair& pair_;
  std::vector<Volume> distances_;
  Volume least_;
  Volume scale_;
  std::vector<bool> is_free_;
  double average_ = 0.0;
};

}  // namespace

double mind_reference(const MindPair& pair, std::vector<double>* to_warped) {
  const Grid grid(pair.size);
  const auto count = static_cast<std::size_t>(grid.count());
  const double share = 1.0 / (kMindChannels * static_cast<double>(pair.size.all()));
  if (to_warped != nullptr) {
    to_warped->clear();
  }
  double sum = 0.0;
  for (std::int64_t n = 0; n < pair.size.n; ++n) {
    const Descriptor fixed(pair.fixed + n * grid.count(), grid, pair);
    const Descriptor warped(pair.warped + n * grid.count(), grid, pair);
    std::vector<Volume> slopes(kMindChannels, Volume(count));
    for (int c = 0; c < kMindChannels; ++c) {
      for (std::size_t i = 0; i < count; ++i) {
        const double difference = warped.value(i, c) - fixed.value(i, c);
        sum += difference * difference;
        slopes[static_cast<std::size_t>(c)][i] = 2.0 * share * difference;
      }
    }
    if (to_warped != nullptr) {
      const Volume gradient = warped.gradient(slopes);
      to_warped->insert(to_warped->end(), gradient.begin(), gradient.end());
    }
  }
  return share * sum;
}

bool mind_has_form(int radius, int dilation) {
  return radius >= 1 && radius <= 2 && dilation >= 1 && dilation <= 8;
}

std::size_t mind_scratch_bytes(const VolumeSize& size) {
  const auto doubles = static_cast<std::size_t>(mind_part_count(size) + 2 * size.n);
  return doubles * sizeof(double) + 2 * kMindChannels * static_cast<std::size_t>(size.all()) * sizeof(float);
}

}  // namespace regatta::kernels
