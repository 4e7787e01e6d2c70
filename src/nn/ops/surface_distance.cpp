#include "nn/ops/surface_distance.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

namespace regatta {
namespace {

// The area of each code as a letter, see `surface_area`.
constexpr char kAreaLetters[] =
    "abbebecibceieiihbecicidjcggmgmkibceicggmcdijgkmieiihgmkigkmilgge"
    "bccgeigmcdgkijmieigmihkigklgmigecdgkgklgdfkdkdgcijmimigekdgcgccb"
    "bccgcgdkegimimjicgdkdkfdglkgkgdcegimglkgikhimgieimjikgdcmgiegccb"
    "egglimkgikmghiieimkgjidcmggciecbikmgmggcjdicicebhiieiecbicebebba";

double area_of_letter(char letter) {
  constexpr double kRoot2 = std::numbers::sqrt2;
  constexpr double kRoot3 = std::numbers::sqrt3;
  switch (letter) {
    case 'a': return 0.0;
    case 'b': return kRoot3 / 8;
    case 'c': return kRoot3 / 4;
    case 'd': return 3 * kRoot3 / 8;
    case 'e': return kRoot2 / 2;
    case 'f': return kRoot3 / 2;
    case 'g': return kRoot2 / 2 + kRoot3 / 8;
    case 'h': return 1.0;
    case 'i': return 0.5 + 3 * kRoot3 / 8;
    case 'j': return 3 * kRoot3 / 4;
    case 'k': return 0.5 + kRoot3 / 2;
    case 'l': return kRoot2;
    default: return kRoot2 / 2 + kRoot3 / 2;  // 'm'
  }
}

std::int64_t set_count_of(const GridSize& size) {
  return size[0] * size[1] * size[2];
}

/// Corners of the box and one more at the high ends.
GridSize corners_of(const VoxelBox& box) {
  return {box.high[0] - box.low[0] + 1, box.high[1] - box.low[1] + 1, box.high[2] - box.low[2] + 1};
}

/// The code of each corner of the box. Bit 7 is the voxel before the corner along all axes, bit 0 the one after it;
/// outside the box no voxel is set.
template <class Label>
std::vector<std::uint8_t> codes_of_corners(const Label* labels, const GridSize& size, Label label,
                                           const VoxelBox& box) {
  const GridSize corners = corners_of(box);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(set_count_of(corners)));
  for (std::int64_t d = box.low[0]; d < box.high[0]; ++d) {
    for (std::int64_t h = box.low[1]; h < box.high[1]; ++h) {
      const Label* row = labels + (d * size[1] + h) * size[2];
      for (std::int64_t w = box.low[2]; w < box.high[2]; ++w) {
        if (row[w] != label) {
          continue;
        }
        for (unsigned bit = 0; bit < 8; ++bit) {
          const std::int64_t at =
              ((d - box.low[0] + (bit >> 2 & 1)) * corners[1] + h - box.low[1] + (bit >> 1 & 1)) * corners[2] + w -
              box.low[2] + (bit & 1);
          codes[static_cast<std::size_t>(at)] |= static_cast<std::uint8_t>(1U << bit);
        }
      }
    }
  }
  return codes;
}

bool is_border(std::uint8_t code) {
  return code != 0 && code != 255;
}

/// One line of `squared_distances`: out[q] = min over p of line[p] + (q - p)^2.
class Envelope {
 public:
  explicit Envelope(std::int64_t longest)
      : apex_(static_cast<std::size_t>(longest)),
        start_(static_cast<std::size_t>(longest)),
        line_(static_cast<std::size_t>(longest)) {}

  void run(std::int32_t* first, std::int64_t stride, std::int64_t length) {
    std::size_t parabolas = 0;
    for (std::int64_t q = 0; q < length; ++q) {
      line_[static_cast<std::size_t>(q)] = first[q * stride];
      if (line_[static_cast<std::size_t>(q)] >= kFar) {
        continue;
      }
      double meets = -std::numeric_limits<double>::infinity();
      while (parabolas > 0 && (meets = meeting(apex_[parabolas - 1], q)) <= start_[parabolas - 1]) {
        --parabolas;
      }
      apex_[parabolas] = q;
      start_[parabolas] = parabolas == 0 ? -std::numeric_limits<double>::infinity() : meets;
      ++parabolas;
    }
    if (parabolas == 0) {
      return;
    }
    std::size_t at = 0;
    for (std::int64_t q = 0; q < length; ++q) {
      while (at + 1 < parabolas && start_[at + 1] < static_cast<double>(q)) {
        ++at;
      }
      const std::int64_t away = q - apex_[at];
      first[q * stride] = line_[static_cast<std::size_t>(apex_[at])] + static_cast<std::int32_t>(away * away);
    }
  }

 private:
  /// Where the parabolas of p and q > p meet.
  double meeting(std::int64_t p, std::int64_t q) const {
    const std::int64_t rise = line_[static_cast<std::size_t>(q)] + q * q - line_[static_cast<std::size_t>(p)] - p * p;
    return static_cast<double>(rise) / static_cast<double>(2 * (q - p));
  }

  std::vector<std::int64_t> apex_;
  std::vector<double> start_;
  std::vector<std::int32_t> line_;
};

/// From the surface `from` to the surface `to`, one direction.
double one_way(const std::vector<std::uint8_t>& from, const std::vector<std::uint8_t>& to, const GridSize& size,
               double share) {
  std::vector<std::int32_t> field(to.size());
  std::transform(to.begin(), to.end(), field.begin(), [](std::uint8_t code) { return is_border(code) ? 0 : kFar; });
  squared_distances(field, size);
  std::vector<std::pair<std::int32_t, double>> pieces;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (is_border(from[i])) {
      pieces.emplace_back(field[i], surface_area(from[i]));
    }
  }
  std::sort(pieces.begin(), pieces.end());
  double whole = 0.0;
  for (const auto& [distance, area] : pieces) {
    whole += area;
  }
  double so_far = 0.0;
  for (const auto& [distance, area] : pieces) {
    so_far += area;
    if (so_far / whole >= share) {
      return distance >= kFar ? std::numeric_limits<double>::infinity() : std::sqrt(static_cast<double>(distance));
    }
  }
  return std::numeric_limits<double>::infinity();  // no surface at all
}

}  // namespace

VoxelBox join(const VoxelBox& a, const VoxelBox& b) {
  if (a.empty() || b.empty()) {
    return a.empty() ? b : a;
  }
  VoxelBox both = a;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    both.low[axis] = std::min(a.low[axis], b.low[axis]);
    both.high[axis] = std::max(a.high[axis], b.high[axis]);
  }
  return both;
}

template <class Label>
std::vector<VoxelBox> boxes_of_labels(const Label* labels, const GridSize& size, std::int64_t count) {
  std::vector<VoxelBox> boxes(static_cast<std::size_t>(count));
  for (std::int64_t d = 0; d < size[0]; ++d) {
    for (std::int64_t h = 0; h < size[1]; ++h) {
      const Label* row = labels + (d * size[1] + h) * size[2];
      for (std::int64_t start = 0; start < size[2];) {  // runs of one label, which are long
        std::int64_t end = start + 1;
        while (end < size[2] && row[end] == row[start]) {
          ++end;
        }
        VoxelBox& box = boxes[static_cast<std::size_t>(row[start])];
        box = join(box, {{d, h, start}, {d + 1, h + 1, end}});
        start = end;
      }
    }
  }
  return boxes;
}

double surface_area(std::uint8_t code) {
  static const std::array<double, 256> areas = [] {
    std::array<double, 256> table{};
    std::transform(kAreaLetters, kAreaLetters + table.size(), table.begin(), area_of_letter);
    return table;
  }();
  return areas[code];
}

void squared_distances(std::vector<std::int32_t>& field, const GridSize& size) {
  Envelope envelope(std::max({size[0], size[1], size[2]}));
  const GridSize strides = {size[1] * size[2], size[2], 1};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::size_t p = axis == 0 ? 1 : 0;
    const std::size_t q = axis == 2 ? 1 : 2;
    for (std::int64_t i = 0; i < size[p]; ++i) {
      for (std::int64_t j = 0; j < size[q]; ++j) {
        envelope.run(field.data() + i * strides[p] + j * strides[q], strides[axis], size[axis]);
      }
    }
  }
}

template <class Label>
double robust_hausdorff(const Label* a, const Label* b, const GridSize& size, std::int64_t label, const VoxelBox& box,
                        double share) {
  const GridSize corners = corners_of(box);
  const std::vector<std::uint8_t> codes_a = codes_of_corners(a, size, static_cast<Label>(label), box);
  const std::vector<std::uint8_t> codes_b = codes_of_corners(b, size, static_cast<Label>(label), box);
  return std::max(one_way(codes_a, codes_b, corners, share), one_way(codes_b, codes_a, corners, share));
}

template std::vector<VoxelBox> boxes_of_labels(const std::uint8_t*, const GridSize&, std::int64_t);
template std::vector<VoxelBox> boxes_of_labels(const std::int16_t*, const GridSize&, std::int64_t);
template double robust_hausdorff(const std::uint8_t*, const std::uint8_t*, const GridSize&, std::int64_t,
                                 const VoxelBox&, double);
template double robust_hausdorff(const std::int16_t*, const std::int16_t*, const GridSize&, std::int64_t,
                                 const VoxelBox&, double);

}  // namespace regatta
