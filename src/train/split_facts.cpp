#include "train/split_facts.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

struct Needed {
  std::int64_t pairs = 0;
  const char* where = "";
};

Needed pairs_with(const SplitFacts& split, const std::string& need, const std::string& side) {
  if (need == "masks") {
    return side == "backward" ? Needed{split.moving_masks, "on the moving scan"}
                              : Needed{split.fixed_masks, "on the fixed scan"};
  }
  return {need == "labels" ? split.labels : split.keypoints, "on both scans"};
}

/// Groups that are compared with others, each with the id of one of its subjects.
std::map<std::string, std::string> groups_of(const Archive& archive, const std::vector<ArchivePair>& pairs,
                                             const std::set<std::int64_t>& atlases) {
  std::map<std::string, std::string> groups;
  for (const ArchivePair& pair : pairs) {
    for (const std::int64_t index : {pair.moving, pair.fixed}) {
      const ArchiveSubject& subject = archive.subjects()[static_cast<std::size_t>(index)];
      if (subject.split != "atlas" && !atlases.contains(index)) {
        groups.emplace(subject.group.empty() ? subject.id : subject.group, subject.id);
      }
    }
  }
  return groups;
}

/// Subjects that every one of the pairs has.
std::set<std::int64_t> in_all(const std::vector<ArchivePair>& pairs) {
  std::set<std::int64_t> out = {pairs.front().moving, pairs.front().fixed};
  for (const ArchivePair& pair : pairs) {
    std::erase_if(out, [&](std::int64_t index) { return index != pair.moving && index != pair.fixed; });
  }
  return out;
}

}  // namespace

SplitFacts split_facts(const Archive& archive, const std::string& split, const char* pointer) {
  const std::vector<ArchivePair> pairs = archive.pairs(split);
  REGATTA_REQUIRE(!pairs.empty(), ConfigError, pointer, ": split '", one_line(split, 60), "' has no pairs in ",
                  archive.path().string(), ", which has: ", join(archive.splits(), ", "));
  SplitFacts facts;
  facts.name = split;
  facts.pairs = static_cast<std::int64_t>(pairs.size());
  for (const ArchivePair& pair : pairs) {
    const ArchiveSubject& moving = archive.subjects()[static_cast<std::size_t>(pair.moving)];
    const ArchiveSubject& fixed = archive.subjects()[static_cast<std::size_t>(pair.fixed)];
    facts.labels += moving.has_labels && fixed.has_labels ? 1 : 0;
    facts.keypoints += !moving.keypoints.empty() && moving.keypoints.size() == fixed.keypoints.size() ? 1 : 0;
    facts.moving_masks += moving.has_mask ? 1 : 0;
    facts.fixed_masks += fixed.has_mask ? 1 : 0;
  }
  return facts;
}

std::string check_need(const SplitFacts& split, const std::string& need, const std::string& side,
                       const std::string& pointer) {
  if (need.empty()) {
    return "";
  }
  const auto [pairs, where] = pairs_with(split, need, side);
  REGATTA_REQUIRE(pairs > 0, ConfigError, pointer, ": needs ", need, " ", where, ", no pair of split '", split.name,
                  "' has them");
  return pairs == split.pairs ? ""
                              : str(pointer, ": ", pairs, " of ", split.pairs, " pairs of split '", split.name,
                                    "' have ", need, " ", where);
}

void require_apart(const Archive& archive, const std::string& train_split, const std::string& val_split) {
  const std::vector<ArchivePair> train = archive.pairs(train_split);
  const std::vector<ArchivePair> val = archive.pairs(val_split);
  std::set<std::int64_t> atlases = in_all(train);
  const std::set<std::int64_t> all_of_val = in_all(val);
  std::erase_if(atlases, [&](std::int64_t index) { return !all_of_val.contains(index); });
  const auto trained = groups_of(archive, train, atlases);
  for (const auto& [group, id] : groups_of(archive, val, atlases)) {
    const auto found = trained.find(group);
    REGATTA_REQUIRE(found == trained.end(), ConfigError, "/data/val_split: '", val_split, "' has '", id,
                    "', and so has /data/train_split '", train_split, "'",
                    found->second == id ? "" : str(", as '", found->second, "' of the same group"),
                    ": scans that are trained on tell nothing of others; /data/fold takes the two splits of a fold");
  }
}

}  // namespace regatta
