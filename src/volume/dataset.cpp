#include "regatta/volume/dataset.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <iterator>
#include <limits>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/random.hpp"

namespace regatta {
namespace {

constexpr const char* kSplits[] = {"train", "val", "test"};

bool is_id(const std::string& text) {
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("._-+=@").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

std::int64_t index_of(const std::vector<SubjectEntry>& subjects, const std::string& id, const std::string& pointer) {
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    if (subjects[i].id == id) {
      return static_cast<std::int64_t>(i);
    }
  }
  throw ConfigError(str(pointer, ": '", one_line(id, 60), "' is no subject's id"));
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

std::vector<std::int64_t> members_of(const std::vector<SubjectEntry>& subjects, const std::string& split) {
  std::vector<std::int64_t> out;
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    if (subjects[i].split == split) {
      out.push_back(static_cast<std::int64_t>(i));
    }
  }
  return out;
}

void add_atlas_pairs(const std::vector<SubjectEntry>& subjects, const PairRule& rule, const std::string& split,
                     std::vector<ArchivePair>& out) {
  const std::int64_t atlas = index_of(subjects, rule.atlas, "/pairs/atlas");
  for (const std::int64_t fixed : members_of(subjects, split)) {
    if (fixed != atlas) {
      out.push_back({split, atlas, fixed});
    }
  }
}

/// Ordered pair number `index` of n (n - 1), without the diagonal.
ArchivePair ordered_pair(const std::string& split, const std::vector<std::int64_t>& members, std::size_t index) {
  const std::size_t moving = index / (members.size() - 1);
  const std::size_t rest = index % (members.size() - 1);
  return {split, members[moving], members[rest < moving ? rest : rest + 1]};
}

void add_ordered_pairs(const std::vector<SubjectEntry>& subjects, const PairRule& rule, std::size_t split_number,
                       std::vector<ArchivePair>& out) {
  const std::string split = kSplits[split_number];
  const auto members = members_of(subjects, split);
  const std::size_t all = members.empty() ? 0 : members.size() * (members.size() - 1);
  REGATTA_REQUIRE(all <= std::numeric_limits<std::uint32_t>::max(), ConfigError, "/pairs/rule: split ", split, " has ",
                  all, " ordered pairs, at most 4294967295 allowed");
  if (rule.rule == "all") {
    REGATTA_REQUIRE(all <= 20000000, ConfigError, "/pairs/rule: all: split ", split, " has ", all,
                    " ordered pairs, at most 20000000 allowed: use `random`");
    for (std::size_t i = 0; i < all; ++i) {
      out.push_back(ordered_pair(split, members, i));
    }
    return;
  }
  const CounterRng rng(static_cast<std::uint64_t>(rule.seed), RandomPurpose::kPairOrder);
  const auto order = rng.permutation(static_cast<std::uint32_t>(all), split_number);
  const std::size_t drawn = std::min<std::size_t>(all, static_cast<std::size_t>(rule.count));
  for (std::size_t i = 0; i < drawn; ++i) {
    out.push_back(ordered_pair(split, members, order[i]));
  }
}

std::vector<ArchivePair> read_explicit_pairs(const std::vector<SubjectEntry>& subjects, const PairRule& rule) {
  REGATTA_REQUIRE(rule.explicit_pairs.is_array(), ConfigError, "/pairs/explicit: ", type_name(rule.explicit_pairs),
                  ", a list expected");
  std::vector<ArchivePair> pairs;
  for (std::size_t i = 0; i < rule.explicit_pairs.size(); ++i) {
    const std::string pointer = str("/pairs/explicit/", i);
    PairEntry entry;
    read_options(rule.explicit_pairs[i], entry, pointer);
    const ArchivePair pair = {entry.split, index_of(subjects, entry.moving, pointer + "/moving"),
                              index_of(subjects, entry.fixed, pointer + "/fixed")};
    REGATTA_REQUIRE(pair.moving != pair.fixed, ConfigError, pointer, ": moving and fixed are both '", entry.fixed, "'");
    REGATTA_REQUIRE(!entry.split.empty(), ConfigError, pointer, "/split: empty, train, val or test expected");
    pairs.push_back(pair);
  }
  return pairs;
}

std::vector<ArchivePair> make_pairs(const std::vector<SubjectEntry>& subjects, const PairRule& rule) {
  const std::vector<ArchivePair> listed = read_explicit_pairs(subjects, rule);
  std::vector<ArchivePair> pairs;
  for (std::size_t number = 0; number < std::size(kSplits); ++number) {
    const std::string split = kSplits[number];
    const std::size_t before = pairs.size();
    std::copy_if(listed.begin(), listed.end(), std::back_inserter(pairs),
                 [&](const ArchivePair& pair) { return pair.split == split; });
    if (pairs.size() > before || rule.rule == "explicit") {
      continue;
    }
    if (rule.rule == "atlas") {
      add_atlas_pairs(subjects, rule, split, pairs);
    } else {
      add_ordered_pairs(subjects, rule, number, pairs);
    }
  }
  REGATTA_REQUIRE(!pairs.empty(), ConfigError, "/pairs: rule '", rule.rule, "' gives no pair for these ",
                  subjects.size(), " subjects");
  return pairs;
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

}  // namespace

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
  REGATTA_REQUIRE(is_orientation(dataset.options.npz_orientation), ConfigError, "/npz_orientation: '",
                  one_line(dataset.options.npz_orientation, 20),
                  "', three letters, one each of R|L, A|P and S|I, expected");
  dataset.subjects = read_subjects(dataset.options.subjects, read_modalities(dataset.options), folder);
  dataset.merged = read_merge(dataset.options.labels.merge);
  dataset.pairs = make_pairs(dataset.subjects, dataset.options.pairs);
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

}  // namespace regatta
