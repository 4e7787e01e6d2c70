#include "volume/init/survey.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/progress.hpp"
#include "regatta/volume/volume.hpp"

namespace regatta {
namespace {

constexpr std::size_t kSampled = 8;
constexpr double kAirBelow = -500.0;

/// Paths of a subject's images, by modality ("" for the only one).
std::vector<std::pair<std::string, std::string>> images_of(const SubjectEntry& subject) {
  if (!subject.image.empty()) {
    return {{"", subject.image}};
  }
  std::vector<std::pair<std::string, std::string>> images;
  for (const auto& item : subject.images.items()) {
    images.emplace_back(item.key(), item.value().get<std::string>());
  }
  return images;
}

/// Removes what `is_bad` says, with a note of the names.
template <class Bad>
void drop_subjects(FoundSet& found, const std::string& what, Bad&& is_bad) {
  std::vector<std::string> names;
  const auto gone = std::remove_if(found.subjects.begin(), found.subjects.end(), [&](const SubjectEntry& subject) {
    const std::string why = is_bad(subject);
    if (!why.empty()) {
      names.push_back(why);
    }
    return !why.empty();
  });
  found.subjects.erase(gone, found.subjects.end());
  note_names(found, names, what);
}

void drop_unreadable(const ScanTree& tree, FoundSet& found) {
  Progress progress("headers", std::max<std::int64_t>(1, std::ssize(found.subjects)), ProgressOptions::for_stderr());
  std::int64_t done = 0;
  drop_subjects(found, "subjects left out, their images cannot be read", [&](const SubjectEntry& subject) {
    progress.update(++done);
    for (const auto& [modality, path] : images_of(subject)) {
      if (tree.header(path) == nullptr) {
        return tree.unreadable().at(path);
      }
    }
    return std::string();
  });
  progress.finish();
  drop_subjects(found, "subjects left out, their files are 4-D series", [&](const SubjectEntry& subject) {
    for (const auto& [modality, path] : images_of(subject)) {
      if (subject.frame < 0 && tree.header(path)->frames > 1) {
        return path;
      }
    }
    return std::string();
  });
}

/// Takes away label maps or masks that are not on the image's grid.
void drop_misplaced(const ScanTree& tree, FoundSet& found, std::string SubjectEntry::*member, const std::string& what) {
  std::vector<std::string> names;
  for (SubjectEntry& subject : found.subjects) {
    std::string& path = subject.*member;
    if (path.empty()) {
      continue;
    }
    const Grid& image = tree.header(images_of(subject).front().second)->grid;
    const ScanHeader* header = tree.header(path);
    const int frames = tree.header(images_of(subject).front().second)->frames;
    if (header == nullptr || header->grid.shape != image.shape ||
        !same_grid(image.affine, header->grid.affine, image.shape) ||
        (header->frames != 1 && header->frames != frames)) {
      names.push_back(path);
      found.known.insert(path);
      path.clear();
    }
  }
  note_names(found, names, str(what, " left out, they do not lie on their image's grid"));
}

/// Subjects to look into: the same ones whatever others are there.
std::vector<std::size_t> choose_sample(const FoundSet& found) {
  std::vector<std::size_t> order(found.subjects.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return unit_hash(found.subjects[a].id) < unit_hash(found.subjects[b].id);
  });
  order.resize(
      std::min(order.size(), std::max<std::size_t>(1, kSampled / std::max<std::size_t>(1, found.modalities.size()))));
  return order;
}

SampledImage look_into(const Volume& volume, bool is_ct) {
  SampledImage out;
  const auto [least, most] = std::minmax_element(volume.voxels.begin(), volume.voxels.end());
  out.least = double{*least};
  out.most = double{*most};
  out.is_ct = is_ct || out.least <= kAirBelow;
  const double above = out.is_ct ? kCtForeground : 0.0;
  const Shape3& shape = volume.grid.shape;
  const double far = std::numeric_limits<double>::infinity();
  out.foreground = {Point3{far, far, far}, Point3{-far, -far, -far}};
  std::int64_t zeros = 0;
  std::size_t at = 0;
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w, ++at) {
        const double value = double{volume.voxels[at]};
        zeros += value == 0.0 ? 1 : 0;
        if (value > above) {
          const Point3 here = {static_cast<double>(d), static_cast<double>(h), static_cast<double>(w)};
          for (std::size_t axis = 0; axis < 3; ++axis) {
            out.foreground[0][axis] = std::min(out.foreground[0][axis], here[axis]);
            out.foreground[1][axis] = std::max(out.foreground[1][axis], here[axis]);
          }
        }
      }
    }
  }
  if (out.foreground[1][0] < 0.0) {  // nothing is above: all of it counts
    out.foreground = {Point3{0, 0, 0}, Point3{static_cast<double>(shape[0] - 1), static_cast<double>(shape[1] - 1),
                                              static_cast<double>(shape[2] - 1)}};
  }
  out.zeros = static_cast<double>(zeros) / static_cast<double>(volume.voxels.size());
  return out;
}

}  // namespace

double unit_hash(const std::string& text) {
  return static_cast<double>(xxh3(text.data(), text.size()) >> 11U) * 0x1p-53;
}

Survey survey(const ScanTree& tree, FoundSet& found) {
  drop_unreadable(tree, found);
  drop_misplaced(tree, found, &SubjectEntry::labels, "label maps");
  drop_misplaced(tree, found, &SubjectEntry::mask, "masks");
  Survey out;
  for (std::size_t i = 0; i < found.subjects.size(); ++i) {
    const Grid& grid = tree.header(images_of(found.subjects[i]).front().second)->grid;
    out.scans.push_back({i, grid, orientation_of(grid.affine)});
  }
  for (const std::size_t i : choose_sample(found)) {
    const SubjectEntry& subject = found.subjects[i];
    for (const auto& [modality, path] : images_of(subject)) {
      const bool named_ct = found.is_ct && (modality.empty() || names_ct(modality));
      SampledImage sample = look_into(read_volume(tree.full(path), "RAS", subject.frame), named_ct);
      sample.subject = i;
      sample.modality = modality;
      out.samples.push_back(std::move(sample));
    }
    if (!subject.labels.empty()) {
      const int frame = tree.header(subject.labels)->frames > 1 ? subject.frame : -1;
      const LabelVolume labels = read_label_volume(tree.full(subject.labels), "RAS", frame);
      out.label_values.emplace_back(labels.labels.begin(), labels.labels.end());
      out.labelled.push_back(i);
    }
  }
  return out;
}

}  // namespace regatta
