#include "volume/init/splits.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "volume/init/survey.hpp"

namespace regatta {
namespace {

constexpr std::size_t kMostForAllPairs = 1000;
constexpr std::int64_t kDrawnPairs = 1000000;
constexpr const char* kTooFew = "at least three expected, or two with an atlas or with pairs within them";

/// Ids of a split, by the hash of their names.
std::vector<std::string> ids_of(const FoundSet& found, const std::string& split) {
  std::vector<std::string> ids;
  for (const SubjectEntry& subject : found.subjects) {
    if (subject.split == split) {
      ids.push_back(subject.id);
    }
  }
  std::sort(ids.begin(), ids.end(),
            [](const std::string& a, const std::string& b) { return unit_hash(a) < unit_hash(b); });
  return ids;
}

Json pair_json(const std::string& split, const std::string& moving, const std::string& fixed) {
  return {{"split", split}, {"moving", moving}, {"fixed", fixed}};
}

Json listed_pair_json(const std::string& split, const PairEntry& pair) {
  Json json = pair_json(split, pair.moving, pair.fixed);
  if (!pair.moving_keypoints.empty()) {
    json["moving_keypoints"] = pair.moving_keypoints;
    json["fixed_keypoints"] = pair.fixed_keypoints;
  }
  return json;
}

Json listed_pairs(FoundSet& found) {
  std::map<std::string, std::string> splits;
  for (const SubjectEntry& subject : found.subjects) {
    splits[subject.id] = subject.split;
  }
  Json list = Json::array();
  std::vector<std::string> dropped;
  for (const PairEntry& pair : found.pairs) {
    const auto moving = splits.find(pair.moving);
    const auto fixed = splits.find(pair.fixed);
    if (moving == splits.end() || fixed == splits.end()) {
      continue;  // the subject was left out, which has its own note
    }
    if (pair.split.empty() && moving->second != fixed->second) {
      dropped.push_back(str(pair.moving, " onto ", pair.fixed));
      continue;
    }
    list.push_back(listed_pair_json(pair.split.empty() ? fixed->second : pair.split, pair));
  }
  note_names(found, dropped, "listed pairs left out, their subjects are in different splits");
  return list;
}

bool has_pairs(const Json& list, const std::string& split) {
  return std::any_of(list.begin(), list.end(), [&](const Json& pair) { return pair.at("split") == split; });
}

/// Each subject once moving and once fixed; two subjects, both ways.
void add_ring(const FoundSet& found, const std::string& split, Json& list) {
  const std::vector<std::string> ids = ids_of(found, split);
  for (std::size_t i = 0; ids.size() > 1 && i < ids.size(); ++i) {
    list.push_back(pair_json(split, ids[i], ids[(i + 1) % ids.size()]));
  }
}

void add_validation(FoundSet& found, PairRule& rule) {
  for (const char* split : {"val", "test"}) {
    if (!has_pairs(rule.explicit_pairs, split)) {
      add_ring(found, split, rule.explicit_pairs);
    }
  }
  if (!has_pairs(rule.explicit_pairs, "val")) {
    const std::vector<std::string> train = ids_of(found, "train");
    const std::vector<std::string> val = ids_of(found, "val");
    REGATTA_REQUIRE(!val.empty(), DataError, "no group of subjects is left to validate on: ", kTooFew);
    rule.explicit_pairs.push_back(pair_json("val", train.front(), val.front()));
    found.notes.emplace_back("one validation subject: a training subject is warped onto it");
  }
}

/// A group that a release puts into two splits goes where it is not trained on.
void settle_groups(FoundSet& found) {
  std::map<std::string, std::string> held_out;
  for (const SubjectEntry& subject : found.subjects) {
    if (subject.split == "val" || subject.split == "test") {
      held_out.emplace(subject.group, subject.split);
    }
  }
  std::vector<std::string> moved;
  for (SubjectEntry& subject : found.subjects) {
    const auto split = held_out.find(subject.group);
    if (split != held_out.end() && subject.split != split->second) {
      subject.split = split->second;
      moved.push_back(subject.id);
    }
  }
  note_names(found, moved, "subjects follow others of their group out of the training");
}

}  // namespace

void draw_splits(FoundSet& found, double val) {
  settle_groups(found);
  std::map<std::string, std::vector<SubjectEntry*>> groups;
  for (SubjectEntry& subject : found.subjects) {
    if (subject.split.empty()) {
      groups[subject.group].push_back(&subject);
    }
  }
  std::vector<std::string> names;
  std::size_t drawn = 0;
  for (const auto& [name, subjects] : groups) {
    names.push_back(name);
    drawn += subjects.size();
  }
  std::sort(names.begin(), names.end(),
            [](const std::string& a, const std::string& b) { return unit_hash(a) < unit_hash(b); });
  const bool between = found.pairs.empty() && found.atlas.empty();
  const std::size_t wanted = between ? 2 : 1;
  const std::size_t kept = between ? 2 : 1;  // what training cannot do without
  const std::size_t least = names.size() > kept ? std::min(wanted, names.size() - kept) : 0;
  const auto asked = static_cast<std::size_t>(std::llround(val * static_cast<double>(drawn)));
  std::size_t held_out = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const bool falls_to_val = unit_hash(names[i]) < val || held_out < asked;
    const bool validates = i < least || (falls_to_val && i + kept < names.size());
    const std::vector<SubjectEntry*>& members = groups[names[i]];
    held_out += validates ? members.size() : 0;
    for (SubjectEntry* subject : members) {
      subject->split = validates ? "val" : "train";
    }
  }
}

PairRule settle_one_pair(FoundSet& found) {
  for (SubjectEntry& subject : found.subjects) {
    if (subject.split != "atlas") {
      subject.split = "test";
    }
  }
  for (PairEntry& pair : found.pairs) {
    pair.split.clear();
  }
  PairRule rule;
  rule.rule = found.atlas.empty() ? "explicit" : "atlas";
  rule.atlas = found.atlas;
  if (rule.rule == "explicit") {
    rule.explicit_pairs = listed_pairs(found);
    if (rule.explicit_pairs.empty()) {
      add_ring(found, "test", rule.explicit_pairs);
    }
  }
  return rule;
}

PairRule choose_pairs(FoundSet& found) {
  PairRule rule;
  rule.explicit_pairs = listed_pairs(found);
  const std::vector<std::string> train = ids_of(found, "train");
  if (!found.atlas.empty()) {
    rule.rule = "atlas";
    rule.atlas = found.atlas;
    REGATTA_REQUIRE(!train.empty() && !ids_of(found, "val").empty(), DataError,
                    "too few groups of subjects besides the atlas '", found.atlas,
                    "': at least two expected, one to train and one to validate on");
    return rule;
  }
  if (has_pairs(rule.explicit_pairs, "train")) {
    rule.rule = "explicit";
  } else {
    REGATTA_REQUIRE(train.size() > 1, DataError, "too few groups of subjects: ", kTooFew);
    rule.rule = train.size() > kMostForAllPairs ? "random" : "all";
    rule.count = train.size() > kMostForAllPairs ? kDrawnPairs : rule.count;
  }
  add_validation(found, rule);
  return rule;
}

}  // namespace regatta
