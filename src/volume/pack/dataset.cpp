#include "regatta/volume/dataset.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/volume/volume_file.hpp"
#include "volume/pack/dataset_pairs.hpp"

namespace regatta {
namespace {

bool is_id(const std::string& text) {
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("._-+=@").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

/// Where a folder lies: behind a symbolic link, .. leads elsewhere than its name says.
std::filesystem::path real_folder(const std::filesystem::path& folder) {
  const std::filesystem::path named = std::filesystem::absolute(folder / ".");
  const std::filesystem::path real = std::filesystem::weakly_canonical(named) / "";
  return real == named.lexically_normal() ? folder : real;
}

std::string settled_path(const std::string& path, const std::filesystem::path& folder, const std::string& pointer) {
  REGATTA_REQUIRE(is_volume_name(path), ConfigError, pointer, ": '", one_line(path, 200),
                  "', a volume file expected: ", volume_endings());
  return (folder / path).lexically_normal().string();
}

/// Makes a subject's paths absolute or relative to the working directory.
void settle_files(SubjectEntry& entry, const std::vector<std::string>& modalities, const std::filesystem::path& folder,
                  const std::string& pointer) {
  require_object(entry.images, pointer + "/images");
  if (modalities.empty()) {
    REGATTA_REQUIRE(entry.images.empty(), ConfigError, pointer, "/images: /modalities names none: give `image`");
    entry.files = {settled_path(entry.image, folder, pointer + "/image")};
  } else {
    REGATTA_REQUIRE(entry.image.empty(), ConfigError, pointer, "/image: /modalities are named: give `images`");
    for (const std::string& modality : modalities) {
      REGATTA_REQUIRE(entry.images.contains(modality), ConfigError, pointer, "/images: '", modality, "' is missing");
      std::string path;
      const std::string at = pointer_to(pointer + "/images", modality);
      read_value(entry.images.at(modality), at, Rule{}, path);
      entry.files.push_back(settled_path(path, folder, at));
    }
    for (const auto& item : entry.images.items()) {
      REGATTA_REQUIRE(std::count(modalities.begin(), modalities.end(), item.key()) == 1, ConfigError,
                      pointer_to(pointer + "/images", item.key()), ": /modalities has ", join(modalities, ", "));
    }
  }
  for (const auto& [name, path] : {std::pair{"labels", &entry.labels}, std::pair{"mask", &entry.mask}}) {
    if (!path->empty()) {
      *path = settled_path(*path, folder, str(pointer, '/', name));
    }
  }
  if (!entry.keypoints.empty()) {
    entry.keypoints = (folder / entry.keypoints).lexically_normal().string();
  }
  if (entry.group.empty()) {
    entry.group = entry.id;
  }
}

std::vector<std::string> read_modalities(const DatasetOptions& options) {
  for (std::size_t i = 0; i < options.modalities.size(); ++i) {
    const std::string& name = options.modalities[i];
    REGATTA_REQUIRE(is_id(name), ConfigError, "/modalities/", i, ": '", one_line(name, 60),
                    "', 1..128 letters, digits and . _ - + = @ allowed");
    REGATTA_REQUIRE(std::count(options.modalities.begin(), options.modalities.end(), name) == 1, ConfigError,
                    "/modalities/", i, ": '", name, "' stands there twice");
  }
  for (const auto& item : options.preprocess.modalities.items()) {
    REGATTA_REQUIRE(std::count(options.modalities.begin(), options.modalities.end(), item.key()) == 1, ConfigError,
                    pointer_to("/preprocess/modalities", item.key()), ": /modalities does not name it");
  }
  return options.modalities;
}

std::vector<SubjectEntry> read_subjects(const Json& list, const std::vector<std::string>& modalities,
                                        const std::filesystem::path& folder) {
  REGATTA_REQUIRE(list.is_array() && !list.empty(), ConfigError, "/subjects: ", type_name(list),
                  ", a list with at least one subject expected");
  std::vector<SubjectEntry> subjects;
  std::map<std::string, std::size_t> seen;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string pointer = str("/subjects/", i);
    SubjectEntry entry;
    read_options(list[i], entry, pointer);
    REGATTA_REQUIRE(is_id(entry.id), ConfigError, pointer, "/id: '", one_line(entry.id, 60),
                    "', 1..128 letters, digits and . _ - + = @ allowed");
    const auto [first, fresh] = seen.emplace(entry.id, i);
    REGATTA_REQUIRE(fresh, ConfigError, pointer, "/id: '", entry.id, "' is also the id of /subjects/", first->second);
    settle_files(entry, modalities, folder, pointer);
    subjects.push_back(std::move(entry));
  }
  return subjects;
}

std::map<std::pair<std::int64_t, std::int64_t>, PairKeypointFiles> read_pair_keypoints(
    const std::vector<SubjectEntry>& subjects, const Json& pairs, const std::filesystem::path& folder) {
  std::map<std::pair<std::int64_t, std::int64_t>, PairKeypointFiles> out;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const std::string pointer = str("/pairs/explicit/", i);
    PairEntry entry;
    read_options(pairs[i], entry, pointer);
    REGATTA_REQUIRE(entry.moving_keypoints.empty() == entry.fixed_keypoints.empty(), ConfigError, pointer,
                    ": one of moving_keypoints and fixed_keypoints is missing");
    if (entry.moving_keypoints.empty()) {
      continue;
    }
    const auto path = [&](const std::string& name) { return (folder / name).lexically_normal().string(); };
    const PairKeypointFiles files = {path(entry.moving_keypoints), path(entry.fixed_keypoints)};
    const auto [at, fresh] = out.emplace(std::pair(subject_index(subjects, entry.moving, pointer + "/moving"),
                                                   subject_index(subjects, entry.fixed, pointer + "/fixed")),
                                         files);
    REGATTA_REQUIRE(fresh || at->second == files, ConfigError, pointer,
                    ": the same pair has other key-points further up in the list");
  }
  return out;
}

std::map<std::int32_t, std::int32_t> read_merge(const Json& merge) {
  require_object(merge, "/labels/merge");
  std::map<std::int32_t, std::int32_t> out;
  for (const auto& item : merge.items()) {
    const std::string pointer = pointer_to("/labels/merge", item.key());
    std::int32_t target = 0;
    const char* end = item.key().data() + item.key().size();
    const auto parsed = std::from_chars(item.key().data(), end, target);
    REGATTA_REQUIRE(parsed.ec == std::errc() && parsed.ptr == end, ConfigError, pointer,
                    ": the key must be the new label, a 32-bit integer");
    std::vector<int> sources;
    read_value(item.value(), pointer, Rule{}, sources);
    for (const int source : sources) {
      REGATTA_REQUIRE(out.emplace(source, target).second, ConfigError, pointer, ": label ", source,
                      " is named twice in /labels/merge");
    }
  }
  return out;
}

/// Aligned scans lie where the alignment puts them.
void require_one_place(const DatasetOptions& options) {
  const std::string& place = options.preprocess.place;
  const bool aligned = options.affine == "to_atlas";
  REGATTA_REQUIRE(
      place != "physical" || !aligned, ConfigError,
      "/preprocess/place: physical, and /affine: to_atlas: scans are either left where their headers say or "
      "aligned; leave one of the two out");
  REGATTA_REQUIRE(place != "affine" || aligned, ConfigError,
                  "/preprocess/place: affine, and /affine: none: \"affine\": \"to_atlas\" aligns the scans");
}

}  // namespace

std::optional<PairKeypointFiles> DatasetFile::keypoint_files(const ArchivePair& pair) const {
  if (const auto found = pair_keypoints.find({pair.moving, pair.fixed}); found != pair_keypoints.end()) {
    return found->second;
  }
  if (const auto found = pair_keypoints.find({pair.fixed, pair.moving}); found != pair_keypoints.end()) {
    return PairKeypointFiles{found->second.fixed, found->second.moving};
  }
  return std::nullopt;
}

std::int32_t DatasetFile::label(std::int32_t value) const {
  if (const auto found = merged.find(value); found != merged.end()) {
    return found->second;
  }
  return options.labels.others == "keep" ? value : 0;
}

DatasetFile dataset_from_json(const Json& value, const std::filesystem::path& folder) {
  DatasetFile dataset;
  require_object(value, "");
  REGATTA_REQUIRE(value.contains("schema"), ConfigError, "/schema: missing, ", kDatasetSchema, " expected");
  read_options(value, dataset.options);
  validate(dataset.options.preprocess);
  require_one_place(dataset.options);
  REGATTA_REQUIRE(is_orientation(dataset.options.npz_orientation), ConfigError, "/npz_orientation: '",
                  one_line(dataset.options.npz_orientation, 20),
                  "', three letters, one each of R|L, A|P and S|I, expected");
  dataset.subjects = read_subjects(dataset.options.subjects, read_modalities(dataset.options), real_folder(folder));
  dataset.merged = read_merge(dataset.options.labels.merge);
  dataset.pairs = make_pairs(dataset.subjects, dataset.options);
  dataset.pair_keypoints =
      read_pair_keypoints(dataset.subjects, dataset.options.pairs.explicit_pairs, real_folder(folder));
  if (dataset.options.affine == "to_atlas") {
    affine_atlas_of(dataset.subjects, dataset.options);
  }
  return dataset;
}

DatasetFile read_dataset(const std::filesystem::path& path) {
  const Json value = read_json(path);
  try {
    return dataset_from_json(value, path.parent_path());
  } catch (const ConfigError& error) {
    throw ConfigError(str(path.string(), ": ", error.what()));
  }
}

std::string file_name_of(const std::string& name) {
  std::string out;
  for (const char letter : name.substr(0, 60)) {
    const auto c = static_cast<unsigned char>(letter);
    const bool good = std::isalnum(c) != 0 || c == '-';
    if (good || (!out.empty() && out.back() != '_')) {
      out += good ? static_cast<char>(std::tolower(c)) : '_';
    }
  }
  while (!out.empty() && out.back() == '_') {
    out.pop_back();
  }
  return out.empty() ? "dataset" : out;
}

}  // namespace regatta
