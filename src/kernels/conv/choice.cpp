#include "kernels/conv/choice.hpp"

#include <algorithm>

#include "kernels/conv/forms.hpp"
#include "regatta/base/text.hpp"

namespace regatta::kernels::conv {
namespace {

constexpr int kFlow = 3;
constexpr int kRaw = 2;
constexpr int kQuads = 4;

/// Calls `visit.operator()<F>(number)` on the forms until one returns true: first on those whose blocks lie beside each
/// other on a multiprocessor as they want, then on those of which one block fits.
template <class... F, class Visit>
bool find_form(FormList<F...>, const Capability& chip, const Visit& visit) {
  constexpr std::size_t kReserved = 1024;  // of a block, by the driver
  for (const bool beside : {true, false}) {
    int number = 0;
    const auto visit_fitting = [&]<class Form>() {
      const std::size_t blocks = beside ? Form::kBlocks : 1;
      const bool fits = blocks * (Form::kSharedBytes + kReserved) <= chip.shared_bytes + kReserved;
      const bool found = fits && visit.template operator()<Form>(number);
      ++number;
      return found;
    };
    if ((visit_fitting.template operator()<F>() || ...)) {
      return true;
    }
  }
  return false;
}

bool is_sound(const ConvShape& shape, const Capability& chip) {
  const VolumeSize& size = shape.size;
  const bool even = size.d % 2 == 0 && size.h % 2 == 0 && size.w % 2 == 0;
  // offsets within a plane are 32-bit
  constexpr std::int64_t kMostPlane = (std::int64_t{1} << 31) / 128 - 65536;
  const bool large = shape.stride == 1 && shape.second.channels == 0 && !shape.first.upsampled;
  const bool known = shape.edge == kTaps || (shape.edge == kLargeEdge && large);
  const bool addable = shape.edge == kLargeEdge && shape.out == shape.first.channels;
  return chip.usable() && known && (addable || !shape.identity) && size.n > 0 && size.d > 0 && size.plane() > 0 &&
         size.plane() < kMostPlane && size.d < (1 << 24) && (even || !shape.first.upsampled) && !shape.second.upsampled;
}

template <class F>
Packing packing_of(int out, const ConvShape& shape) {
  Packing packing;
  packing.groups = out == kFlow ? 1 : out / F::kOut;
  packing.warps_channels = F::kShape.warps_channels;
  packing.tiles = F::kTiles;
  packing.out = out;
  packing.weights_in = shape.in();
  return packing;
}

/// Sections in the kernel's order: wide inputs, then the thin one.
void add_sections(Packing& packing, const ConvShape& shape) {
  int count = 0;
  for (const bool thin : {false, true}) {
    if (shape.first.channels > 0 && (shape.first.channels == kRaw) == thin) {
      packing.sections[count++] = {shape.first.channels, shape.first.channels, 0, false, shape.edge, shape.identity};
    }
    if (shape.second.channels > 0 && (shape.second.channels == kRaw) == thin) {
      packing.sections[count++] = {shape.second.channels, shape.second.channels, shape.first.channels};
    }
  }
}

MarchKey forward_key(const ConvShape& shape) {
  MarchKey key;
  key.epilogue = shape.out == kFlow ? Epilogue::kPlanar : Epilogue::kActivate;
  key.edge = shape.edge;
  key.prelu = shape.prelu;
  for (const ConvInput& input : {shape.first, shape.second}) {
    if (input.channels == kRaw) {
      key.thin = kRaw;
    } else if (key.first == 0) {
      key.first = input.channels;
      key.first_up = input.upsampled;
    } else {
      key.second = input.channels;
    }
  }
  return key;
}

/// Whether a form does what is wanted: it may know PReLU without need.
bool serves(const MarchKey& form, const MarchKey& wanted) {
  return form.first == wanted.first && form.first_up == wanted.first_up && form.second == wanted.second &&
         form.thin == wanted.thin && form.epilogue == wanted.epilogue && form.edge == wanted.edge &&
         (form.prelu || !wanted.prelu);
}

std::optional<ForwardChoice> find_march(const MarchKey& key, int out, const ConvShape& shape, const Capability& chip) {
  ForwardChoice choice;
  const bool found = find_form(MarchForms(), chip, [&]<class F>(int number) {
    const bool whole = key.epilogue == Epilogue::kPlanar || out % F::kOut == 0;
    if (!serves(F::kKey, key) || !whole) {
      return false;
    }
    choice = {Family::kMarch, number, packing_of<F>(out, shape), "", F::kBlocks};
    return true;
  });
  return found ? std::optional(choice) : std::nullopt;
}

std::optional<ForwardChoice> find_hopper(const MarchKey& key, int out, const ConvShape& shape, const Capability& chip) {
  ForwardChoice choice;
  const bool found = chip.is_hopper() && find_form(HopperForms(), chip, [&]<class F>(int number) {
                       // forms with PReLU are for their own channels: march has others
                       const bool own = !key.prelu || out == F::kOut;
                       if (!serves(F::kKey, key) || out % F::kOut != 0 || !own) {
                         return false;
                       }
                       choice.family = Family::kHopper;
                       choice.form = number;
                       choice.blocks_of_multiprocessor = F::kBlocks;
                       choice.packing.hopper = true;
                       choice.packing.groups = out / F::kOut;
                       choice.packing.tiles = F::kOut / 8;
                       choice.packing.out = out;
                       choice.packing.weights_in = shape.in();
                       choice.packing.sections[0].channels = F::kShape.in;
                       return true;
                     });
  return found ? std::optional(choice) : std::nullopt;
}

std::optional<ForwardChoice> find_up(const MarchKey& key, const ConvShape& shape, const Capability& chip) {
  ForwardChoice choice;
  const bool found = find_form(UpForms(), chip, [&]<class F>(int number) {
    if (!serves(F::kKey, key) || shape.out % F::kOut != 0) {
      return false;
    }
    choice = {Family::kUp, number, packing_of<F>(shape.out, shape), ""};
    return true;
  });
  return found ? std::optional(choice) : std::nullopt;
}

const char* name_of(Family family) {
  return family == Family::kHopper            ? "hopper"
         : family == Family::kUp              ? "up"
         : family == Family::kFold            ? "fold"
         : family == Family::kStridedGradient ? "strided"
                                              : "march";
}

std::string text_of(const ConvInput& input) {
  return str(input.channels, input.upsampled ? " up" : "");
}

std::string edge_text(const ConvShape& shape) {
  return shape.edge == kTaps ? std::string() : str(", 5x5x5", shape.identity ? " + input" : "");
}

std::string text_of(const ConvShape& shape) {
  const std::string second = shape.second.channels > 0 ? str(" + ", text_of(shape.second)) : std::string();
  return str(text_of(shape.first), second, " -> ", shape.out, shape.stride > 1 ? ", stride 2" : "", edge_text(shape));
}

}  // namespace

std::optional<ForwardChoice> choose_forward(const ConvShape& shape, const Capability& chip) {
  if (!is_sound(shape, chip)) {
    return std::nullopt;
  }
  if (shape.stride == 1) {
    const MarchKey key = forward_key(shape);
    std::optional<ForwardChoice> choice = find_up(key, shape, chip);
    if (!choice) {
      choice = find_hopper(key, shape.out, shape, chip);
    }
    if (!choice) {
      choice = find_march(key, shape.out, shape, chip);
    }
    if (choice) {
      add_sections(choice->packing, shape);
      choice->packing.sections[0].before_up = choice->family == Family::kUp;
      choice->text = str(name_of(choice->family), " ", text_of(shape));
    }
    return choice;
  }
  if (shape.stride != 2 || shape.prelu || shape.first.channels != kRaw || shape.first.upsampled ||
      shape.second.channels != 0) {
    return std::nullopt;
  }
  ForwardChoice choice;
  const bool found = find_form(ThinForms(), chip, [&]<class F>(int number) {
    if (shape.out % F::kOut != 0) {
      return false;
    }
    choice = {Family::kThin, number, packing_of<F>(shape.out, shape), str("thin ", text_of(shape))};
    add_sections(choice.packing, shape);
    return true;
  });
  return found ? std::optional(choice) : std::nullopt;
}

std::optional<ForwardChoice> choose_gradient(const ConvShape& shape, ConvPass pass, const Capability& chip) {
  const ConvInput& input = pass == ConvPass::kFirstGradient ? shape.first : shape.second;
  const bool strided = shape.stride == 2 && shape.edge == kTaps && !input.upsampled;
  if (!is_sound(shape, chip) || (shape.stride != 1 && !strided) || input.channels <= kRaw ||
      (input.prelu && input.upsampled)) {
    return std::nullopt;
  }
  std::optional<ForwardChoice> choice;
  if (strided) {
    find_form(StridedGradientForms(), chip, [&]<class F>(int number) {
      if (F::kIn != shape.out || input.channels % F::kOut != 0) {
        return false;
      }
      choice = {Family::kStridedGradient, number, packing_of<F>(input.channels, shape), "", F::kBlocks};
      return true;
    });
  } else if (input.upsampled) {
    find_form(FoldForms(), chip, [&]<class F>(int number) {
      if (F::kShape.in != shape.out || input.channels % F::kOut != 0) {
        return false;
      }
      choice = {Family::kFold, number, packing_of<F>(input.channels, shape), ""};
      return true;
    });
  } else {
    MarchKey key;
    key.epilogue = Epilogue::kMask;
    key.edge = shape.edge;
    key.prelu = input.prelu;
    (shape.out == kFlow ? key.thin : key.first) = shape.out == kFlow ? kQuads : shape.out;
    choice = find_hopper(key, input.channels, shape, chip);
    if (!choice) {
      choice = find_march(key, input.channels, shape, chip);
    }
  }
  if (choice) {
    Packing& packing = choice->packing;
    packing.transposed = true;
    packing.out_offset = pass == ConvPass::kFirstGradient ? 0 : shape.first.channels;
    const int thin_channels = packing.hopper ? packing.sections[0].channels : kQuads;
    packing.sections[0] = {
        shape.out == kFlow ? thin_channels : shape.out, shape.out, 0, false, shape.edge, shape.identity};
    choice->text = str(name_of(choice->family), " ", shape.out, " -> ", text_of(input),
                       shape.stride > 1 ? ", stride 2" : "", ", gradient", edge_text(shape));
  }
  return choice;
}

namespace {

template <class F>
WeightChoice weight_choice(Family family, int number, int out, SumOrder order, const Capability& chip) {
  WeightChoice choice;
  choice.family = family;
  choice.form = number;
  choice.groups = out == kFlow ? 1 : out / F::kOut;
  choice.blocks = (chip.multiprocessors * F::kBlocks + choice.groups - 1) / choice.groups;
  choice.values = F::kValues;
  choice.out = F::kOut;
  choice.order = order;
  return choice;
}

/// With the input's channels in slices.
template <class F>
void add_slices(WeightChoice& choice, int channels, int pairs) {
  choice.in = F::kIn;
  choice.slices = channels / F::kIn;
  choice.pairs = pairs;
  choice.groups *= choice.slices * pairs;
}

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// Of small kernels and those of stride 2, below this many voxels of the result, and of more input channels than these,
// another library is as fast.
constexpr std::int64_t kSlicedVoxels = 5000;
constexpr int kSlicedChannels = 64;
constexpr int kStridedChannels = 32;

/// Blocks of each group, one on a multiprocessor at a time, so that few multiprocessors wait for the last ones. More
/// blocks mean more sums to add. @param steps  planes of tiles of a group
int balanced_blocks(int groups, std::int64_t steps, int multiprocessors) {
  constexpr int kMost = 12;
  constexpr double kSteps = 4.0;  // as long take a block's start and its sums
  const double cost = kSteps / static_cast<double>(steps);
  int best = 1;
  double least = 1e30;
  for (int blocks = 1; blocks <= kMost || groups * blocks <= multiprocessors; ++blocks) {
    const int rounds = (groups * blocks + multiprocessors - 1) / multiprocessors;
    const double time = rounds * (1.0 / blocks + cost);
    if (time < least) {
      least = time;
      best = blocks;
    }
  }
  return best;
}

std::optional<WeightChoice> choose_hopper_weights(const ConvShape& shape, const ConvInput& input,
                                                  const Capability& chip) {
  std::optional<WeightChoice> choice;
  const bool narrow = input.channels == kSlicedChannels;
  const bool large = shape.edge == kLargeEdge;
  if (!chip.is_hopper() || (!large && (!narrow || shape.output_size().all() < kSlicedVoxels))) {
    return choice;
  }
  find_form(HopperWeightForms(), chip, [&]<class F>(int number) {
    if (F::kEdge != shape.edge || input.channels % F::kIn != 0 || shape.out % F::kOut != 0) {
      return false;
    }
    choice = weight_choice<F>(Family::kHopperWeights, number, shape.out, SumOrder::kPairs, chip);
    add_slices<F>(*choice, input.channels, F::kPairGroups);
    const std::int64_t columns = divide_up(shape.size.h, F::kHeight) * divide_up(shape.size.w, F::kWidth);
    choice->blocks = balanced_blocks(choice->groups, shape.size.n * shape.size.d * columns, chip.multiprocessors);
    return true;
  });
  return choice;
}

std::optional<WeightChoice> choose_strided_weights(const ConvShape& shape, const ConvInput& input,
                                                   const Capability& chip) {
  std::optional<WeightChoice> choice;
  if (input.upsampled || input.channels > kStridedChannels || shape.output_size().all() < kSlicedVoxels) {
    return choice;
  }
  find_form(StridedWeightForms(), chip, [&]<class F>(int number) {
    if (input.channels % F::kIn != 0 || shape.out % F::kOut != 0) {
      return false;
    }
    choice = weight_choice<F>(Family::kStridedWeights, number, shape.out, SumOrder::kWide, chip);
    add_slices<F>(*choice, input.channels, 1);
    choice->blocks = (chip.multiprocessors * F::kBlocks + choice->groups - 1) / choice->groups;
    return true;
  });
  return choice;
}

/// Of any channels that a form has, in a tensor that may have more.
std::optional<WeightChoice> choose_plain_weights(const ConvShape& shape, const ConvInput& input,
                                                 const Capability& chip) {
  std::optional<WeightChoice> choice;
  find_form(WeightForms(), chip, [&]<class F>(int number) {
    const bool whole = F::kShape.quads ? shape.out == kFlow : shape.out % F::kOut == 0;
    if (F::kIn != input.channels || F::kEdge != shape.edge || !whole) {
      return false;
    }
    choice = weight_choice<F>(Family::kWeights, number, shape.out, SumOrder::kWide, chip);
    choice->text = str("weights ", text_of(input), " -> ", shape.out, edge_text(shape));
    return true;
  });
  return choice;
}

}  // namespace

std::optional<WeightChoice> choose_weights(const ConvShape& shape, const ConvInput& input, const Capability& chip) {
  if (!is_sound(shape, chip)) {
    return std::nullopt;
  }
  std::optional<WeightChoice> choice;
  if (input.channels == kRaw && shape.edge == kTaps) {
    find_form(ThinWeightForms(), chip, [&]<class F>(int number) {
      if (shape.out % F::kOut != 0 || F::kStride != shape.stride || input.upsampled) {
        return false;
      }
      choice = weight_choice<F>(Family::kThinWeights, number, shape.out, SumOrder::kThin, chip);
      return true;
    });
  } else if (shape.stride == 1 && input.upsampled) {
    find_form(FoldWeightForms(), chip, [&]<class F>(int number) {
      if (F::kShape.in != input.channels || shape.out % F::kOut != 0) {
        return false;
      }
      choice = weight_choice<F>(Family::kFoldWeights, number, shape.out, SumOrder::kFolded, chip);
      return true;
    });
  } else if (shape.stride == 2 && shape.edge == kTaps) {
    choice = choose_strided_weights(shape, input, chip);
  } else if (shape.stride == 1) {
    choice = choose_hopper_weights(shape, input, chip);
  }
  if (!choice && shape.stride == 1 && input.channels > kRaw && !input.upsampled) {
    choice = choose_plain_weights(shape, input, chip);
  }
  if (choice) {
    choice->text = str(choice->family == Family::kHopperWeights ? "hopper weights " : "weights ", text_of(input),
                       " -> ", shape.out, shape.stride > 1 ? ", stride 2" : "", edge_text(shape));
  }
  return choice;
}

std::vector<WeightSlice> weight_slices(const ConvShape& shape, const ConvInput& input, const Capability& chip) {
  constexpr int kMostSliced = 320;
  constexpr int kMostOut = 96;
  constexpr std::int64_t kFewestVoxels = 50000;
  if (const auto whole = choose_weights(shape, input, chip)) {
    return {{0, input.channels, *whole}};
  }
  std::vector<WeightSlice> slices;
  const bool suits_cudnn = input.channels % 64 == 0 && shape.out % 64 == 0;
  if (!is_sound(shape, chip) || shape.edge != kTaps || shape.stride != 1 || input.upsampled ||
      input.channels > kMostSliced || shape.out > kMostOut || shape.size.all() < kFewestVoxels || suits_cudnn) {
    return slices;
  }
  for (int first = 0; first < input.channels;) {
    ConvInput slice = input;
    std::optional<WeightChoice> choice;
    for (const int channels : {64, 32, 16}) {
      slice.channels = channels;
      choice = channels <= input.channels - first ? choose_plain_weights(shape, slice, chip) : std::nullopt;
      if (choice) {
        break;
      }
    }
    if (!choice) {
      return {};
    }
    slices.push_back({first, slice.channels, *choice});
    first += slice.channels;
  }
  return slices;
}

}  // namespace regatta::kernels::conv
