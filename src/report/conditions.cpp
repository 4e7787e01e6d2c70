#include "report/conditions.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include "regatta/base/text.hpp"
#include "regatta/config/value_text.hpp"

namespace regatta {
namespace {

std::string option_text(const Json& recipe, const char* pointer) {
  const Json* value = find_pointer(recipe, pointer);
  return value == nullptr || value->is_null() ? "" : value_text(*value);
}

std::int64_t count_at(const Json& recipe, const char* pointer) {
  const Json* value = find_pointer(recipe, pointer);
  return value != nullptr && value->is_number_integer() ? value->get<std::int64_t>() : 0;
}

std::string split_text(const Json& recipe) {
  const std::int64_t fold = find_pointer(recipe, "/data/fold") == nullptr ? -1 : count_at(recipe, "/data/fold");
  return fold < 0 ? option_text(recipe, "/data/val_split") : str("fold ", fold);
}

std::string images_text(const Json& recipe) {
  const std::string moving = option_text(recipe, "/data/moving_modality");
  const std::string fixed = option_text(recipe, "/data/fixed_modality");
  return moving.empty() && fixed.empty() ? "the archive's first" : str(moving, " onto ", fixed);
}

std::string length_text(const Json& recipe) {
  const std::int64_t steps = count_at(recipe, "/train/steps");
  if (steps > 0) {
    return str(steps, " steps");
  }
  const std::int64_t pairs = count_at(recipe, "/train/epoch_pairs");
  return str(count_at(recipe, "/train/epochs"), " epochs", pairs > 0 ? str(" of ", pairs, " pairs") : std::string());
}

struct Condition {
  const char* name;
  std::set<std::string> pointers;  ///< a sweep with one of them as an axis varies the condition itself
  bool may_vary;                   ///< then it is compared with any other
  std::function<std::string(const SweepRows&, const Json& recipe)> text;
};

const std::vector<Condition>& conditions() {
  static const std::vector<Condition> all = {
      {"data fingerprint", {}, false, [](const SweepRows& rows, const Json&) { return rows.data_fingerprint; }},
      {"validation split",
       {"/data/val_split", "/data/fold"},
       false,
       [](const SweepRows&, const Json& recipe) { return split_text(recipe); }},
      {"images",
       {"/data/moving_modality", "/data/fixed_modality"},
       false,
       [](const SweepRows&, const Json& recipe) { return images_text(recipe); }},
      {"length of training",
       {"/train/steps", "/train/epochs", "/train/epoch_pairs"},
       true,
       [](const SweepRows&, const Json& recipe) { return length_text(recipe); }},
  };
  return all;
}

bool varies(const SweepRows& rows, const Condition& condition) {
  return std::any_of(rows.axes.begin(), rows.axes.end(),
                     [&](const ReportAxis& axis) { return condition.pointers.contains(axis.pointer); });
}

/// A length in epochs and one in steps may be the same.
bool same_steps(const SweepRows& a, const SweepRows& b) {
  return a.steps > 0 && a.steps == b.steps;
}

}  // namespace

std::vector<std::string> condition_differences(const std::vector<SweepRows>& sweeps) {
  std::vector<std::string> differences;
  for (const Condition& condition : conditions()) {
    const SweepRows* first = nullptr;
    std::string first_text;
    for (const SweepRows& rows : sweeps) {
      const bool is_axis = varies(rows, condition);
      if (rows.recipes.empty() || (is_axis && condition.may_vary)) {
        continue;
      }
      const std::string text = is_axis ? "several, as an axis" : condition.text(rows, rows.recipes.front());
      if (first == nullptr) {
        first = &rows;
        first_text = text;
        continue;
      }
      if (text != first_text && !(condition.may_vary && same_steps(*first, rows))) {
        differences.push_back(str(condition.name, ": ", first->sweep.directory, " has ", first_text, ", ",
                                  rows.sweep.directory, " has ", text));
      }
    }
  }
  return differences;
}

}  // namespace regatta
