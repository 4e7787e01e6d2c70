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
#include <map>
#include <optional>
#include <set>
#include <string>
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

// Reading of the field types, with the JSON pointer in every message. Not called directly: see `read_options`.
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

/// @throws ConfigError naming the first key of `object` that is not in `known`, and all of `known`
void require_known_keys(const Json& object, const std::string& pointer, const std::vector<std::string>& known);

/// pointer + "/" + name, with '~' and '/' escaped.
std::string pointer_to(const std::string& pointer, const std::string& name);

namespace detail {

template <class T>
concept Visitable = requires(T& t) {
  T::visit(t, [](auto&&...) {});
};

template <class T>
struct IsMap : std::false_type {};
template <class T>
struct IsMap<std::map<std::string, T>> : std::true_type {};

}  // namespace detail

/// Reads `object` over the present values of `options`; members that are absent keep them.
/// @throws ConfigError with the JSON pointer for an unknown key, a wrong type or a value outside its rule
template <class Options>
void read_options(const Json& object, Options& options, const std::string& pointer = "") {
  require_object(object, pointer);
  std::vector<std::string> known;
  Options::visit(options, [&](const char* name, auto& field, const char*, const Rule& rule = {}) {
    using Field = std::decay_t<decltype(field)>;
    known.emplace_back(name);
    const auto member = object.find(name);
    if (member == object.end()) {
      return;
    }
    const std::string at = pointer_to(pointer, name);
    if constexpr (detail::Visitable<Field>) {
      read_options(*member, field, at);
    } else if constexpr (detail::IsMap<Field>::value) {
      require_object(*member, at);
      field.clear();
      for (const auto& item : member->items()) {
        read_options(item.value(), field[item.key()], pointer_to(at, item.key()));
      }
    } else {
      read_value(*member, at, rule, field);
    }
  });
  require_known_keys(object, pointer, known);
}

/// All fields, in the order of `visit`.
template <class Options>
Json write_options(const Options& options) {
  Json object = Json::object();
  Options::visit(options, [&](const char* name, const auto& field, const char*, const Rule& = {}) {
    using Field = std::decay_t<decltype(field)>;
    if constexpr (detail::Visitable<Field>) {
      object[name] = write_options(field);
    } else if constexpr (detail::IsMap<Field>::value) {
      object[name] = Json::object();
      for (const auto& [key, item] : field) {
        object[name][key] = write_options(item);
      }
    } else {
      object[name] = field;
    }
  });
  return object;
}

/// What defines the experiment: fields with `identity` that differ from their default. A field added later does not
/// change the identity of older files as long as it keeps its default.
template <class Options>
Json identity_of(const Options& options) {
  const Options untouched;
  const Json defaults = write_options(untouched);
  Json object = Json::object();
  Options::visit(options, [&](const char* name, const auto& field, const char*, const Rule& rule = {}) {
    using Field = std::decay_t<decltype(field)>;
    if (!rule.identity) {
      return;
    }
    if constexpr (detail::Visitable<Field>) {
      if (Json inner = identity_of(field); !inner.empty()) {
        object[name] = std::move(inner);
      }
    } else if constexpr (detail::IsMap<Field>::value) {
      for (const auto& [key, item] : field) {
        object[name][key] = identity_of(item);
      }
    } else if (Json value = field; value != defaults.at(name)) {
      object[name] = std::move(value);
    }
  });
  return object;
}

/// One line of the option tables in help and documentation.
struct OptionRow {
  std::string pointer;
  std::string type;
  std::string default_text;
  std::string allowed;
  std::string help;
};

std::string option_type(const bool&);
std::string option_type(const int&);
std::string option_type(const std::int64_t&);
std::string option_type(const double&);
std::string option_type(const std::string&);
std::string option_type(const std::vector<int>&);
std::string option_type(const std::vector<double>&);
std::string option_type(const std::vector<std::string>&);
std::string option_type(const Json&);

template <class Options>
std::vector<OptionRow> option_rows(const Options& options = {}, const std::string& pointer = "") {
  std::vector<OptionRow> rows;
  Options::visit(options, [&](const char* name, const auto& field, const char* help, const Rule& rule = {}) {
    using Field = std::decay_t<decltype(field)>;
    const std::string at = pointer_to(pointer, name);
    if constexpr (detail::Visitable<Field>) {
      const auto inner = option_rows(field, at);
      rows.insert(rows.end(), inner.begin(), inner.end());
    } else if constexpr (detail::IsMap<Field>::value) {
      const auto inner = option_rows(typename Field::mapped_type{}, at + "/NAME");
      rows.insert(rows.end(), inner.begin(), inner.end());
    } else {
      rows.push_back({at, option_type(field), dump_line(Json(field)), rule.text(), help});
    }
  });
  return rows;
}

}  // namespace regatta
