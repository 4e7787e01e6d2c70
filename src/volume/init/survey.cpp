#include "volume/init/survey.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/progress.hpp"
#include "regatta/volume/volume_file.hpp"

namespace regatta {
namespace {

constexpr std::size_t kSampled = 8;
constexpr std::size_t kMostUnreadable = 8;
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
      for (const auto& [modality, path] : images_of(subject)) {
        found.known.insert(path);
      }
      found.known.insert({subject.labels, subject.mask, subject.keypoints});
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

/// Subjects in the order in which they are looked into: the same whatever others are there.
std::vector<std::size_t> order_of_samples(const FoundSet& found) {
  std::vector<std::size_t> order(found.subjects.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return unit_hash(found.subjects[a].id) < unit_hash(found.subjects[b].id);
  });
  return order;
}

void note_unplaced(const ScanTree& tree, FoundSet& found) {
  std::vector<std::string> names;
  std::vector<std::string> npz;
  bool others = false;
  for (const SubjectEntry& subject : found.subjects) {
    for (const auto& [modality, path] : images_of(subject)) {
      if (!tree.header(path)->is_placed) {
        names.push_back(path);
      }
      if (path.ends_with(".npz")) {
        npz.push_back(path);
      } else {
        others = true;
      }
    }
  }
  note_names(found, names, "scans without sform and qform are taken as RAS: which side is left is not known");
  if (others) {
    note_names(found, npz, "npz files among others are taken as RAS: if they lie otherwise, give `npz_orientation`");
  }
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

void drop_atlas_without_subject(FoundSet& found) {
  const bool there = std::any_of(found.subjects.begin(), found.subjects.end(),
                                 [&](const SubjectEntry& subject) { return subject.id == found.atlas; });
  if (!found.atlas.empty() && !there) {
    found.notes.push_back(str("the atlas '", found.atlas, "' is among those left out: pairs are made without it"));
    found.atlas.clear();
  }
}

/// Of the subjects that were looked into, by id, in that order.
struct Samples {
  std::vector<std::pair<std::string, SampledImage>> images;
  std::vector<std::pair<std::string, std::set<std::int32_t>>> label_values;
  std::map<std::string, std::string> unreadable;  ///< subjects, each with what is wrong
};

/// Where voxels cannot be read another subject is taken. Label maps that cannot be read are taken from theirs.
Samples look_into_some(const ScanTree& tree, FoundSet& found) {
  Samples out;
  std::vector<std::string> bad_labels;
  std::size_t left = std::max<std::size_t>(1, kSampled / std::max<std::size_t>(1, found.modalities.size()));
  for (const std::size_t i : order_of_samples(found)) {
    if (left == 0) {
      break;
    }
    SubjectEntry& subject = found.subjects[i];
    try {
      std::vector<std::pair<std::string, SampledImage>> images;
      for (const auto& [modality, path] : images_of(subject)) {
        const bool named_ct = found.is_ct && (modality.empty() || names_ct(modality));
        images.emplace_back(subject.id, look_into(read_volume(tree.full(path), "RAS", subject.frame), named_ct));
        images.back().second.modality = modality;
      }
      std::move(images.begin(), images.end(), std::back_inserter(out.images));
    } catch (const DataError& error) {
      out.unreadable[subject.id] = error.what();
      REGATTA_REQUIRE(out.unreadable.size() < kMostUnreadable, DataError, out.unreadable.size(),
                      " scans that were looked into cannot be read, the last: ", error.what(),
                      "; about NaN see docs/data.md");
      continue;
    }
    --left;
    if (subject.labels.empty()) {
      continue;
    }
    try {
      const int frame = tree.header(subject.labels)->frames > 1 ? subject.frame : -1;
      const LabelVolume labels = read_label_volume(tree.full(subject.labels), "RAS", frame);
      out.label_values.emplace_back(subject.id, std::set<std::int32_t>(labels.labels.begin(), labels.labels.end()));
    } catch (const DataError& error) {
      bad_labels.emplace_back(error.what());
      found.known.insert(subject.labels);
      subject.labels.clear();
    }
  }
  note_names(found, bad_labels, "label maps left out, they cannot be read");
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
  note_unplaced(tree, found);
  Samples samples = look_into_some(tree, found);
  drop_subjects(found, "subjects left out, their images cannot be read", [&](const SubjectEntry& subject) {
    const auto bad = samples.unreadable.find(subject.id);
    return bad == samples.unreadable.end() ? "" : bad->second;
  });
  drop_atlas_without_subject(found);
  Survey out;
  std::map<std::string, std::size_t> index_of;
  for (std::size_t i = 0; i < found.subjects.size(); ++i) {
    index_of[found.subjects[i].id] = i;
    const Grid& grid = tree.header(images_of(found.subjects[i]).front().second)->grid;
    out.scans.push_back({i, grid, orientation_of(grid.affine)});
  }
  for (auto& [id, image] : samples.images) {
    image.subject = index_of.at(id);
    out.samples.push_back(std::move(image));
  }
  for (auto& [id, values] : samples.label_values) {
    out.labelled.push_back(index_of.at(id));
    out.label_values.push_back(std::move(values));
  }
  return out;
}

}  // namespace regatta
