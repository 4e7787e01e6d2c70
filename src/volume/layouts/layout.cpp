#include "volume/layouts/layout.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <string_view>

#include "regatta/base/error.hpp"
#include "regatta/volume/volume_file.hpp"

namespace regatta {

#define REGATTA_LAYOUT(name, help)          \
  bool claims_##name(const ScanTree& tree); \
  FoundSet find_##name(const ScanTree& tree);
#include "layouts.def"
#undef REGATTA_LAYOUT

namespace {

constexpr LayoutRow kRows[] = {
#define REGATTA_LAYOUT(name, help) {#name, help, claims_##name, find_##name},
#include "layouts.def"
#undef REGATTA_LAYOUT
};

std::set<std::string> words_of(const std::string& text) {
  std::set<std::string> words;
  std::string word;
  for (const char c : lower_case(text) + ' ') {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
      word += c;
    } else if (!word.empty()) {
      words.insert(word);
      word.clear();
    }
  }
  return words;
}

bool has_part(const std::set<std::string>& words, std::span<const std::string_view> parts) {
  return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
    return std::any_of(parts.begin(), parts.end(),
                       [&](std::string_view part) { return word.find(part) != std::string::npos; });
  });
}

}  // namespace

std::span<const LayoutRow> layout_rows() {
  return kRows;
}

const LayoutRow& choose_layout(const ScanTree& tree, const std::string& name) {
  std::vector<std::string> names;
  for (const LayoutRow& row : kRows) {
    if (name.empty() ? row.claims(tree) : name == row.name) {
      return row;
    }
    names.emplace_back(row.name);
  }
  REGATTA_REQUIRE(name.empty(), ConfigError, "--layout: '", one_line(name, 60), "', have: ", join(names, ", "));
  throw DataError(
      str(tree.folder().string(), ": no volume (", volume_endings(), ") in it, of ", tree.files().size(), " files"));
}

Anatomy anatomy_of_text(const std::string& text) {
  constexpr std::array<std::string_view, 7> kLung = {"lung", "nlst", "thorax", "copd", "breath", "dirlab", "pulmo"};
  constexpr std::array<std::string_view, 6> kHeart = {"heart", "cardiac", "acdc", "cine", "myocard", "ventricle"};
  constexpr std::array<std::string_view, 7> kBrain = {"brain", "oasis", "ixi", "lumir", "adni", "hippocamp", "cerebr"};
  const std::set<std::string> words = words_of(text);
  if (has_part(words, kLung)) {
    return Anatomy::kLung;
  }
  if (has_part(words, kHeart)) {
    return Anatomy::kHeart;
  }
  return has_part(words, kBrain) ? Anatomy::kBrain : Anatomy::kUnknown;
}

bool names_ct(const std::string& text) {
  return words_of(text).contains("ct");
}

void add_twin_files(const ScanTree& tree, const std::string& image, const std::string& stem, SubjectEntry& subject) {
  const std::string folder = folder_of(image);
  const std::size_t at = folder.rfind("images");
  if (at == std::string::npos) {
    return;
  }
  const auto beside = [&](const char* kind) { return folder.substr(0, at) + kind + folder.substr(at + 6); };
  if (subject.labels.empty()) {
    subject.labels = tree.find_volume(beside("labels"), stem);
  }
  if (subject.mask.empty()) {
    subject.mask = tree.find_volume(beside("masks"), stem);
  }
  for (const char* kind : {"keypoints", "landmarks"}) {
    const std::string path = path_in(beside(kind), stem + ".csv");
    if (subject.keypoints.empty() && tree.has(path)) {
      subject.keypoints = path;
    }
  }
}

void note_names(FoundSet& found, const std::vector<std::string>& names, const std::string& what) {
  if (!names.empty()) {
    const std::vector<std::string> first(names.begin(), names.begin() + std::min<std::ptrdiff_t>(3, std::ssize(names)));
    found.notes.push_back(str(what, ": ", names.size(), " (", join(first, ", "), names.size() > 3 ? ", ...)" : ")"));
  }
}

}  // namespace regatta
