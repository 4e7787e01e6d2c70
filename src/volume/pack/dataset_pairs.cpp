#include "volume/pack/dataset_pairs.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/random.hpp"

namespace regatta {
namespace {

constexpr const char* kSplits[] = {"train", "val", "test"};
using Members = std::vector<std::int64_t>;

/// A split whose pairs are to be made. @param number  of the random draw
struct Split {
  std::string name;
  Members members;
  std::uint64_t number = 0;
};

Members members_of(const std::vector<SubjectEntry>& subjects, const std::string& split) {
  Members out;
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    if (subjects[i].split == split) {
      out.push_back(static_cast<std::int64_t>(i));
    }
  }
  return out;
}

void add_atlas_pairs(std::int64_t atlas, const Split& split, std::vector<ArchivePair>& out) {
  for (const std::int64_t fixed : split.members) {
    if (fixed != atlas) {
      out.push_back({split.name, atlas, fixed});
    }
  }
}

/// Ordered pair number `index` of n (n - 1), without the diagonal.
ArchivePair ordered_pair(const Split& split, std::size_t index) {
  const std::size_t moving = index / (split.members.size() - 1);
  const std::size_t rest = index % (split.members.size() - 1);
  return {split.name, split.members[moving], split.members[rest < moving ? rest : rest + 1]};
}

void add_ordered_pairs(const PairRule& rule, const Split& split, std::vector<ArchivePair>& out) {
  const std::size_t count = split.members.size();
  const std::size_t all = count == 0 ? 0 : count * (count - 1);
  REGATTA_REQUIRE(all <= std::numeric_limits<std::uint32_t>::max(), ConfigError, "/pairs/rule: split ", split.name,
                  " has ", all, " ordered pairs, at most 4294967295 allowed");
  if (rule.rule == "all") {
    REGATTA_REQUIRE(all <= 20000000, ConfigError, "/pairs/rule: all: split ", split.name, " has ", all,
                    " ordered pairs, at most 20000000 allowed: use `random`");
    for (std::size_t i = 0; i < all; ++i) {
      out.push_back(ordered_pair(split, i));
    }
    return;
  }
  const CounterRng rng(static_cast<std::uint64_t>(rule.seed), RandomPurpose::kPairOrder);
  const auto order = rng.permutation(static_cast<std::uint32_t>(all), split.number);
  const std::size_t drawn = std::min<std::size_t>(all, static_cast<std::size_t>(rule.count));
  for (std::size_t i = 0; i < drawn; ++i) {
    out.push_back(ordered_pair(split, order[i]));
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
    const ArchivePair pair = {entry.split, subject_index(subjects, entry.moving, pointer + "/moving"),
                              subject_index(subjects, entry.fixed, pointer + "/fixed")};
    REGATTA_REQUIRE(pair.moving != pair.fixed, ConfigError, pointer, ": moving and fixed are both '", entry.fixed, "'");
    REGATTA_REQUIRE(!entry.split.empty(), ConfigError, pointer, "/split: empty, train, val or test expected");
    pairs.push_back(pair);
  }
  return pairs;
}

/// Those of the list that belong to the split.
std::vector<ArchivePair> listed_in(const std::vector<ArchivePair>& listed, const std::string& split) {
  std::vector<ArchivePair> out;
  std::copy_if(listed.begin(), listed.end(), std::back_inserter(out),
               [&](const ArchivePair& pair) { return pair.split == split; });
  return out;
}

void add_ruled_pairs(const std::vector<SubjectEntry>& subjects, const PairRule& rule, const Split& split,
                     std::vector<ArchivePair>& out) {
  if (rule.rule == "atlas") {
    add_atlas_pairs(subject_index(subjects, rule.atlas, "/pairs/atlas"), split, out);
  } else if (rule.rule != "explicit") {
    add_ordered_pairs(rule, split, out);
  }
}

/// Subjects that folds are made of.
bool is_dealt(const SubjectEntry& subject, const DatasetOptions& options) {
  return (subject.split == "train" || subject.split == "val") && !is_atlas(subject, options);
}

/// Which fold each group of train and val is validated in.
std::map<std::string, int> deal_groups(const std::vector<SubjectEntry>& subjects, const DatasetOptions& options) {
  const FoldRule& rule = options.folds;
  std::set<std::string> groups;
  for (const SubjectEntry& subject : subjects) {
    if (is_dealt(subject, options)) {
      groups.insert(subject.group);
    }
  }
  REGATTA_REQUIRE(rule.count >= 2 && static_cast<std::size_t>(rule.count) <= groups.size(), ConfigError,
                  "/folds/count: ", rule.count, ", 2..", groups.size(),
                  " allowed: train and val have that many groups");
  const std::vector<std::string> names(groups.begin(), groups.end());
  const CounterRng rng(static_cast<std::uint64_t>(rule.seed), RandomPurpose::kPairOrder);
  const auto order = rng.permutation(static_cast<std::uint32_t>(names.size()), 1U << 20);
  std::map<std::string, int> fold_of;
  for (std::size_t i = 0; i < order.size(); ++i) {
    fold_of[names[order[i]]] = static_cast<int>(i % static_cast<std::size_t>(rule.count));
  }
  return fold_of;
}

/// Listed pairs of train and val whose two subjects lie on the same side of a fold; the others belong to neither.
/// Subjects outside the folds, such as an atlas, lie on both sides.
std::vector<ArchivePair> listed_in_fold(const std::vector<ArchivePair>& listed, const std::string& name, bool validated,
                                        const std::vector<SubjectEntry>& subjects, const DatasetOptions& options,
                                        const std::map<std::string, int>& fold_of, int fold) {
  const auto fits = [&](std::int64_t index) {
    const SubjectEntry& subject = subjects[static_cast<std::size_t>(index)];
    return !is_dealt(subject, options) || (fold_of.at(subject.group) == fold) == validated;
  };
  std::vector<ArchivePair> out;
  for (const ArchivePair& pair : listed) {
    if (pair.split != "test" && fits(pair.moving) && fits(pair.fixed)) {
      out.push_back({name, pair.moving, pair.fixed});
    }
  }
  return out;
}

void add_fold_pairs(const std::vector<SubjectEntry>& subjects, const DatasetOptions& options,
                    const std::vector<ArchivePair>& listed, std::vector<ArchivePair>& out) {
  if (options.folds.count == 0) {
    return;
  }
  const auto fold_of = deal_groups(subjects, options);
  // A list of the pairs of val alone says nothing of subjects that a fold trains on, nor of those it validates again.
  const bool by_list =
      options.pairs.rule == "explicit" || (!listed_in(listed, "train").empty() && !listed_in(listed, "val").empty());
  for (int fold = 0; fold < options.folds.count; ++fold) {
    for (const bool validated : {false, true}) {
      Split split;
      split.name = str(validated ? "val" : "train", fold);
      split.number = 3 + 2 * static_cast<std::uint64_t>(fold) + (validated ? 1 : 0);
      for (std::size_t i = 0; i < subjects.size(); ++i) {
        if (is_dealt(subjects[i], options) && (fold_of.at(subjects[i].group) == fold) == validated) {
          split.members.push_back(static_cast<std::int64_t>(i));
        }
      }
      const std::size_t before = out.size();
      if (by_list) {
        const auto chosen = listed_in_fold(listed, split.name, validated, subjects, options, fold_of, fold);
        out.insert(out.end(), chosen.begin(), chosen.end());
      } else {
        add_ruled_pairs(subjects, options.pairs, split, out);
      }
      REGATTA_REQUIRE(out.size() > before, ConfigError, "/folds/count: ", options.folds.count, ": split ", split.name,
                      " has ", split.members.size(), " subjects and no pair: fewer folds, or another rule of /pairs");
    }
  }
}

/// A group's scans must not be trained on and tested with.
void require_groups_in_one_split(const std::vector<SubjectEntry>& subjects, const DatasetOptions& options) {
  std::map<std::string, const SubjectEntry*> first_of;
  for (const SubjectEntry& subject : subjects) {
    if (is_atlas(subject, options)) {
      continue;
    }
    const auto [first, fresh] = first_of.emplace(subject.group, &subject);
    REGATTA_REQUIRE(fresh || first->second->split == subject.split, ConfigError, "/subjects: group '", subject.group,
                    "' is in split ", first->second->split, " ('", first->second->id, "') and in split ", subject.split,
                    " ('", subject.id, "'): all scans of a group must be in one split");
  }
}

/// 0: train and atlases, 1: val, 2: test.
int stage_of(const std::string& split) {
  return split == "test" ? 2 : split == "val" ? 1 : 0;
}

/// Listed pairs may join subjects of two splits (a training scan as the atlas of a test scan), but neither train on
/// what is kept for later nor validate and test on what was trained on alone.
void require_separate_pairs(const std::vector<SubjectEntry>& subjects, const DatasetOptions& options,
                            const std::vector<ArchivePair>& listed) {
  for (std::size_t i = 0; i < listed.size(); ++i) {
    const SubjectEntry& moving = subjects[static_cast<std::size_t>(listed[i].moving)];
    const SubjectEntry& fixed = subjects[static_cast<std::size_t>(listed[i].fixed)];
    const auto stage = [&](const SubjectEntry& subject) {
      return is_atlas(subject, options) ? 0 : stage_of(subject.split);
    };
    const bool all_atlases = is_atlas(moving, options) && is_atlas(fixed, options);
    REGATTA_REQUIRE(all_atlases || std::max(stage(moving), stage(fixed)) == stage_of(listed[i].split), ConfigError,
                    "/pairs/explicit/", i, ": a pair of split ", listed[i].split, " of '", moving.id, "' (split ",
                    moving.split, ") and '", fixed.id, "' (split ", fixed.split,
                    "): what is trained on must not be validated or tested with alone, nor the other way round");
  }
}

}  // namespace

std::int64_t subject_index(const std::vector<SubjectEntry>& subjects, const std::string& id,
                           const std::string& pointer) {
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    if (subjects[i].id == id) {
      return static_cast<std::int64_t>(i);
    }
  }
  throw ConfigError(str(pointer, ": '", one_line(id, 60), "' is no subject's id"));
}

bool is_atlas(const SubjectEntry& subject, const DatasetOptions& options) {
  return subject.split == "atlas" || subject.id == options.pairs.atlas;
}

std::int64_t affine_atlas_of(const std::vector<SubjectEntry>& subjects, const DatasetOptions& options) {
  if (!options.affine_atlas.empty()) {
    return subject_index(subjects, options.affine_atlas, "/affine_atlas");
  }
  if (!options.pairs.atlas.empty()) {
    return subject_index(subjects, options.pairs.atlas, "/pairs/atlas");
  }
  const Members atlases = members_of(subjects, "atlas");
  REGATTA_REQUIRE(atlases.size() == 1, ConfigError, "/affine_atlas: missing, and ", atlases.size(),
                  " subjects are of split atlas: name the subject that all are aligned to");
  return atlases.front();
}

std::vector<ArchivePair> make_pairs(const std::vector<SubjectEntry>& subjects, const DatasetOptions& options) {
  const PairRule& rule = options.pairs;
  require_groups_in_one_split(subjects, options);
  const std::vector<ArchivePair> listed = read_explicit_pairs(subjects, rule);
  require_separate_pairs(subjects, options, listed);
  std::vector<ArchivePair> pairs;
  for (std::size_t number = 0; number < std::size(kSplits); ++number) {
    const Split split = {kSplits[number], members_of(subjects, kSplits[number]), number};
    const auto chosen = listed_in(listed, split.name);
    pairs.insert(pairs.end(), chosen.begin(), chosen.end());
    if (chosen.empty()) {
      add_ruled_pairs(subjects, rule, split, pairs);
    }
  }
  add_fold_pairs(subjects, options, listed, pairs);
  REGATTA_REQUIRE(!pairs.empty(), ConfigError, "/pairs: rule '", rule.rule, "' gives no pair for these ",
                  subjects.size(), " subjects");
  return pairs;
}

}  // namespace regatta
