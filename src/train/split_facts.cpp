#include "train/split_facts.hpp"

#include <map>

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

const ArchiveSubject& subject_of(const Archive& archive, std::int64_t index) {
  return archive.subjects()[static_cast<std::size_t>(index)];
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
    const ArchiveSubject& moving = subject_of(archive, pair.moving);
    const ArchiveSubject& fixed = subject_of(archive, pair.fixed);
    facts.labels += moving.has_labels && fixed.has_labels ? 1 : 0;
    facts.keypoints += keypoints_of(archive.subjects(), pair).fixed.empty() ? 0 : 1;
    facts.moving_masks += moving.has_mask ? 1 : 0;
    facts.fixed_masks += fixed.has_mask ? 1 : 0;
  }
  return facts;
}

std::string check_need(const SplitFacts& split, const std::string& need, const std::string& side,
                       const std::string& pointer) {
  if (need.empty() || need == "images") {  // these every pair has
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
  std::map<std::string, std::string> trained;  // group -> one of its subjects
  for (const ArchivePair& pair : archive.pairs(train_split)) {
    for (const std::int64_t index : {pair.moving, pair.fixed}) {
      const ArchiveSubject& subject = subject_of(archive, index);
      trained.emplace(group_of(subject), subject.id);
    }
  }
  for (const ArchivePair& pair : archive.pairs(val_split)) {
    const ArchiveSubject& moving = subject_of(archive, pair.moving);
    const ArchiveSubject& fixed = subject_of(archive, pair.fixed);
    const auto is_known = [&](const ArchiveSubject& subject) {
      return subject.split == "atlas" || trained.contains(group_of(subject));
    };
    const ArchiveSubject& seen = fixed.split == "atlas" ? moving : fixed;
    REGATTA_REQUIRE(
        !is_known(moving) || !is_known(fixed) || seen.split == "atlas", ConfigError, "/data/val_split: '", val_split,
        "' has the pair of '", moving.id, "' and '", fixed.id, "', and /data/train_split '", train_split, "' has '",
        trained.at(group_of(seen)),
        "': a pair of scans that are trained on tells nothing of others; /data/fold takes the two splits of "
        "a fold");
  }
}

}  // namespace regatta
