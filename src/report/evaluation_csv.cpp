// The numbers of `regatta evaluate` as tables for spreadsheets.
#include <algorithm>
#include <cmath>
#include <set>

#include "regatta/base/text.hpp"
#include "regatta/report/evaluation.hpp"
#include "report/format.hpp"

namespace regatta {
namespace {

/// "dice/17" -> 17; "" for other measures.
std::string item_of(const std::string& key) {
  const std::size_t slash = key.find('/');
  const std::string item = slash == std::string::npos ? "" : key.substr(slash + 1);
  const bool digits = std::all_of(item.begin(), item.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits ? item : "";
}

std::set<std::string> measures_of(const MethodEvaluation& evaluation, bool initial) {
  std::set<std::string> names;
  for (const EvaluatedCase& one : evaluation.cases) {
    for (const auto& [key, value] : initial ? one.initial : one.values) {
      if (item_of(key).empty()) {
        names.insert(key);
      }
    }
  }
  return names;
}

/// Empty where there is none.
std::string cell_of(const std::map<std::string, double>& values, const std::string& key) {
  const auto found = values.find(key);
  return found == values.end() || std::isnan(found->second) ? "" : to_text(found->second);
}

}  // namespace

std::string evaluation_pairs_csv(const MethodEvaluation& evaluation) {
  const std::set<std::string> now = measures_of(evaluation, false);
  const std::set<std::string> before = measures_of(evaluation, true);
  std::string out = "case";
  for (const std::string& name : now) {
    out += ',' + csv_text(name);
  }
  for (const std::string& name : before) {
    out += ',' + csv_text(name + "_initial");
  }
  out += '\n';
  for (const EvaluatedCase& one : evaluation.cases) {
    out += csv_text(one.name);
    for (const std::string& name : now) {
      out += ',' + cell_of(one.values, name);
    }
    for (const std::string& name : before) {
      out += ',' + cell_of(one.initial, name);
    }
    out += '\n';
  }
  return out;
}

std::string evaluation_labels_csv(const MethodEvaluation& evaluation) {
  std::string out = "case,metric,item,value,initial\n";
  for (const EvaluatedCase& one : evaluation.cases) {
    for (const auto& [key, value] : one.values) {
      if (const std::string item = item_of(key); !item.empty()) {
        out += str(csv_text(one.name), ',', csv_text(key.substr(0, key.find('/'))), ',', item, ',',
                   cell_of(one.values, key), ',', cell_of(one.initial, key), '\n');
      }
    }
  }
  return out;
}

}  // namespace regatta
