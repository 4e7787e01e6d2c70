// Options: one struct per concept whose static `visit` is the only list of its fields. JSON in and out, help,
// documentation, identity and axis checks are visitors over it.
//
//   struct OptimOptions {
//     double lr = 1e-4;
//     template <class Self, class V> static void visit(Self& s, V&& v) {
//       v("lr", s.lr, "step size of an update", between(1e-8, 1.0));
//     }
//   };
//
// Fields may be bool, int, std::int64_t, double, std::string, std::vector of int, double or std::string, Json (passed
// on unread), another struct with `visit`, or std::map<std::string, such a struct>.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "regatta/config/json.hpp"

namespace regatta {

/// What a field may hold, and whether it is part of the experiment's identity.
struct Rule {
  std::optional<double> low;
  std::optional<double> high;
  std::vector<std::string> names;  ///< allowed strings; empty: any
  bool identity = true;            ///< false for paths, resources and totals: they do not change what is computed

  /// A path, resource, interval or total: left out of the experiment's identity.
  Rule not_identity() const;

  /// "1e-08..1", "voxelmorph-1, voxelmorph-2"; empty if anything goes.
  std::string text() const;
};

Rule between(double low, double high);
Rule at_least(double low);
Rule one_of(std::vector<std::string> names);
Rule not_identity();

// Reading of the field types, with the JSON pointer in every message. For whole structs: see `read_options`.
void read_value(const Json& value, const std::string& pointer, const Rule& rule, bool& field);
void read_value(const Json& value, const std::string& pointer, const Rule& rule, int& field);
void read_value(const Json& value, const std::string& pointer, const Rule& rule, std::int64_t& field);
void read_value(const Json& value, const std::string& pointer, const Rule& rule, double& field);
void read_value(const Json& value, const std::string& pointer, const Rule& rule, std::string& field);
void read_value(const Json& value, const std::string& pointer, const Rule& rule, std::vector<int>& field);
void read_value(const Json& value, const std::string& pointer, const Rule& rule, std::vector<double>& field);
void read_value(const Json& value, const std::string& pointer, const Rule& rule, std::vector<std::string>& field);
void read_value(const Json& value, const std::string& pointer, const Rule& rule, Json& field);

/// @throws ConfigError unless `value` is an object
void require_object(const Json& value, const std::string& pointer);

/// pointer + "/" + name, with '~' and '/' escaped.
std::string pointer_to(const std::string& pointer, const std::string& name);

struct OptionField;

/// A struct inside a struct.
struct OptionGroup {
  std::vector<OptionField> fields;
  Json (*defaults)();  ///< of the struct's own type
};

/// A map from names to structs of one type.
struct OptionMap {
  std::vector<std::pair<std::string, OptionGroup>> items;
  std::function<void()> clear;
  std::function<OptionGroup(const std::string&)> add;  ///< a new item with its defaults
};

/// One field of a struct as its `visit` names it. Points into the struct, which must outlive it.
struct OptionField {
  std::string name;
  std::variant<bool*, int*, std::int64_t*, double*, std::string*, std::vector<int>*, std::vector<double>*,
               std::vector<std::string>*, Json*, OptionGroup, OptionMap>
      value;
  std::string help;
  Rule rule;
};

/// One line of the option tables in help and documentation.
struct OptionRow {
  std::string pointer;
  std::string type;
  std::string default_text;
  std::string allowed;
  std::string help;
};

// What the functions of the same names below do, over fields instead of a struct: compiled once, not once per struct.
void read_fields(const Json& object, std::vector<OptionField>& fields, const std::string& pointer);
Json write_fields(const std::vector<OptionField>& fields);
Json identity_of_fields(const std::vector<OptionField>& fields, const Json& defaults);
std::vector<OptionRow> field_rows(const std::vector<OptionField>& fields, const std::string& pointer);

namespace detail {

template <class T>
concept Visitable = requires(T& t) {
  T::visit(t, [](auto&&...) {});
};

template <class T>
struct IsMap : std::false_type {};
template <class T>
struct IsMap<std::map<std::string, T>> : std::true_type {};

template <class Options>
std::vector<OptionField> fields_of(Options& options);

template <class Options>
Json default_values() {
  Options untouched;
  return write_fields(fields_of(untouched));
}

template <class Options>
OptionGroup group_of(Options& options) {
  return {fields_of(options), &default_values<Options>};
}

template <class Item>
OptionMap map_of(std::map<std::string, Item>& items) {
  OptionMap map;
  for (auto& [key, item] : items) {
    map.items.emplace_back(key, group_of(item));
  }
  map.clear = [&items] { items.clear(); };
  map.add = [&items](const std::string& key) { return group_of(items[key]); };
  return map;
}

template <class Options>
std::vector<OptionField> fields_of(Options& options) {
  std::vector<OptionField> fields;
  Options::visit(options, [&](const char* name, auto& field, const char* help, const Rule& rule = {}) {
    using Field = std::decay_t<decltype(field)>;
    if constexpr (Visitable<Field>) {
      fields.push_back({name, group_of(field), help, rule});
    } else if constexpr (IsMap<Field>::value) {
      fields.push_back({name, map_of(field), help, rule});
    } else {
      fields.push_back({name, &field, help, rule});
    }
  });
  return fields;
}

}  // namespace detail

/// Reads `object` over the present values of `options`; members that are absent keep them.
/// @throws ConfigError with the JSON pointer for an unknown key, a wrong type or a value outside its rule
template <class Options>
void read_options(const Json& object, Options& options, const std::string& pointer = "") {
  auto fields = detail::fields_of(options);
  read_fields(object, fields, pointer);
}

/// All fields, in the order of `visit`.
template <class Options>
Json write_options(Options options) {
  return write_fields(detail::fields_of(options));
}

/// What defines the experiment: fields with `identity` that differ from their default. A field added later does not
/// change the identity of older files as long as it keeps its default.
template <class Options>
Json identity_of(Options options) {
  return identity_of_fields(detail::fields_of(options), detail::default_values<Options>());
}

template <class Options>
std::vector<OptionRow> option_rows(Options options = {}, const std::string& pointer = "") {
  return field_rows(detail::fields_of(options), pointer);
}

}  // namespace regatta
