// 4-D files alone: each frame of a series is a subject, the series its group. Pairs: the first frame onto every other
// one and back, which for a heart triggered by its ECG is end-diastole.
#include <algorithm>
#include <set>

#include "regatta/base/error.hpp"
#include "volume/layouts/layout.hpp"

namespace regatta {

bool claims_series(const ScanTree& tree);
FoundSet find_series(const ScanTree& tree);

namespace {

bool is_series(const ScanTree& tree, const std::string& path) {
  const ScanHeader* header = tree.header(path);
  return header != nullptr && header->frames > 1;
}

/// Label maps of a series, NAME_gt or NAME_seg, are 4-D too.
bool is_twin(const ScanTree& tree, const std::string& path) {
  const std::string stem = stem_of(path);
  for (const char* end : {"_gt", "_seg", "_label", "_labels"}) {
    if (stem.ends_with(end) &&
        !tree.find_volume(folder_of(path), stem.substr(0, stem.size() - std::string(end).size())).empty()) {
      return true;
    }
  }
  return false;
}

std::string labels_of(const ScanTree& tree, const std::string& path, int frames) {
  for (const char* end : {"_gt", "_seg", "_label", "_labels"}) {
    const std::string twin = tree.find_volume(folder_of(path), stem_of(path) + end);
    const ScanHeader* header = twin.empty() ? nullptr : tree.header(twin);
    if (header != nullptr && header->frames == frames) {
      return twin;
    }
  }
  return "";
}

std::string frame_id(const std::string& name, int frame) {
  return str(name, "_f", frame < 10 ? "0" : "", frame);
}

}  // namespace

/// More series than other scans; label maps, masks and single frames beside a series are parts of it.
bool claims_series(const ScanTree& tree) {
  std::set<std::string> beginnings;  // of what lies beside each series
  for (const std::string& path : tree.volumes()) {
    if (is_series(tree, path) && !is_twin(tree, path)) {
      const std::string stem = stem_of(path);
      beginnings.insert(path_in(folder_of(path), stem.substr(0, stem.rfind("_4d"))));
    }
  }
  const auto others = std::count_if(tree.volumes().begin(), tree.volumes().end(), [&](const std::string& path) {
    return std::none_of(beginnings.begin(), beginnings.end(),
                        [&](const std::string& beginning) { return path.starts_with(beginning); });
  });
  return std::ssize(beginnings) > others;
}

FoundSet find_series(const ScanTree& tree) {
  FoundSet out;
  out.one_session = true;
  std::string names = tree.folder().filename().string();
  for (const std::string& path : tree.volumes()) {
    if (!is_series(tree, path) || is_twin(tree, path)) {
      continue;
    }
    const int frames = tree.header(path)->frames;
    names += ' ' + path;
    const std::string labels = labels_of(tree, path, frames);
    const bool stem_is_unique = std::count_if(tree.volumes().begin(), tree.volumes().end(),
                                              [&](const auto& other) { return stem_of(other) == stem_of(path); }) == 1;
    const std::string name = id_from(stem_is_unique ? stem_of(path) : path_in(folder_of(path), stem_of(path)));
    for (int frame = 0; frame < frames; ++frame) {
      SubjectEntry subject;
      subject.id = frame_id(name, frame);
      subject.image = path;
      subject.split.clear();
      subject.labels = labels;
      subject.frame = frame;
      subject.group = name;
      out.subjects.push_back(std::move(subject));
      if (frame > 0) {
        out.pairs.push_back({"", frame_id(name, 0), frame_id(name, frame)});
        out.pairs.push_back({"", frame_id(name, frame), frame_id(name, 0)});
      }
    }
  }
  out.anatomy = anatomy_of_text(names);
  if (out.anatomy == Anatomy::kUnknown) {
    out.anatomy = Anatomy::kHeart;
  }
  return out;
}

}  // namespace regatta
