#include "regatta/config/options.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

[[noreturn]] void wrong_type(const std::string& pointer, const char* expected, const Json& value) {
  throw ConfigError(
      str(pointer, ": expected ", expected, ", got ", type_name(value), " ", one_line(dump_line(value), 60)));
}

void check_range(double value, const std::string& pointer, const Rule& rule) {
  const bool low_ok = !rule.low || value >= *rule.low;
  const bool high_ok = !rule.high || value <= *rule.high;
  REGATTA_REQUIRE(std::isfinite(value) && low_ok && high_ok, ConfigError, pointer, ": ", value, " is outside ",
                  rule.text());
}

template <class Item>
void read_list(const Json& value, const std::string& pointer, const Rule& rule, std::vector<Item>& field) {
  if (!value.is_array()) {
    wrong_type(pointer, "a list", value);
  }
  std::vector<Item> items;
  for (std::size_t i = 0; i < value.size(); ++i) {
    Item item{};
    read_value(value[i], pointer_to(pointer, std::to_string(i)), rule, item);
    items.push_back(item);
  }
  field = std::move(items);
}

/// @throws ConfigError naming the first key of `object` that is no field, and all fields
void require_known_keys(const Json& object, const std::string& pointer, const std::vector<OptionField>& fields) {
  std::vector<std::string> known;
  for (const OptionField& field : fields) {
    known.push_back(field.name);
  }
  for (const auto& member : object.items()) {
    REGATTA_REQUIRE(std::find(known.begin(), known.end(), member.key()) != known.end(), ConfigError,
                    pointer_to(pointer, one_line(member.key(), 60)), ": unknown key, have: ", join(known, ", "));
  }
}

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

void read_field(const Json& value, const std::string& pointer, OptionField& field) {
  std::visit(Overloaded{[&](OptionGroup& group) { read_fields(value, group.fields, pointer); },
                        [&](OptionMap& map) {
                          require_object(value, pointer);
                          map.clear();
                          for (const auto& item : value.items()) {
                            OptionGroup added = map.add(item.key());
                            read_fields(item.value(), added.fields, pointer_to(pointer, item.key()));
                          }
                        },
                        [&](auto* plain) { read_value(value, pointer, field.rule, *plain); }},
             field.value);
}

Json written(const OptionField& field) {
  return std::visit(Overloaded{[](const OptionGroup& group) { return write_fields(group.fields); },
                               [](const OptionMap& map) {
                                 Json object = Json::object();
                                 for (const auto& [key, item] : map.items) {
                                   object[key] = write_fields(item.fields);
                                 }
                                 return object;
                               },
                               [](const auto* plain) { return Json(*plain); }},
                    field.value);
}

/// What the tables of options call its type.
std::string type_of(const OptionField& field) {
  constexpr std::array<const char*, 9> kTypes = {"true/false",      "integer",       "integer",
                                                 "number",          "text",          "list of integers",
                                                 "list of numbers", "list of texts", "object"};
  return kTypes.at(field.value.index());
}

}  // namespace

Rule Rule::not_identity() const {
  Rule rule = *this;
  rule.identity = false;
  return rule;
}

std::string Rule::text() const {
  if (!names.empty()) {
    return join(names, ", ");
  }
  if (low && high) {
    return str(*low, "..", *high);
  }
  if (low) {
    return str("at least ", *low);
  }
  return high ? str("at most ", *high) : "";
}

Rule between(double low, double high) {
  return {.low = low, .high = high, .names = {}, .identity = true};
}

Rule at_least(double low) {
  return {.low = low, .high = {}, .names = {}, .identity = true};
}

Rule one_of(std::vector<std::string> names) {
  return {.low = {}, .high = {}, .names = std::move(names), .identity = true};
}

Rule not_identity() {
  return Rule{}.not_identity();
}

void read_value(const Json& value, const std::string& pointer, const Rule&, bool& field) {
  if (!value.is_boolean()) {
    wrong_type(pointer, "true or false", value);
  }
  field = value.get<bool>();
}

void read_value(const Json& value, const std::string& pointer, const Rule& rule, int& field) {
  std::int64_t wide = 0;
  read_value(value, pointer, rule, wide);
  REGATTA_REQUIRE(wide >= std::numeric_limits<int>::min() && wide <= std::numeric_limits<int>::max(), ConfigError,
                  pointer, ": ", wide, " does not fit into 32 bits");
  field = static_cast<int>(wide);
}

void read_value(const Json& value, const std::string& pointer, const Rule& rule, std::int64_t& field) {
  if (!value.is_number_integer()) {
    wrong_type(pointer, "an integer", value);
  }
  REGATTA_REQUIRE(
      !value.is_number_unsigned() ||
          value.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()),
      ConfigError, pointer, ": ", dump_line(value), " does not fit into 64 bits");
  check_range(static_cast<double>(value.get<std::int64_t>()), pointer, rule);
  field = value.get<std::int64_t>();
}

void read_value(const Json& value, const std::string& pointer, const Rule& rule, double& field) {
  if (!value.is_number()) {
    wrong_type(pointer, "a number", value);
  }
  check_range(value.get<double>(), pointer, rule);
  field = value.get<double>();
}

void read_value(const Json& value, const std::string& pointer, const Rule& rule, std::string& field) {
  if (!value.is_string()) {
    wrong_type(pointer, "a string", value);
  }
  const auto& text = value.get_ref<const std::string&>();
  REGATTA_REQUIRE(rule.names.empty() || std::find(rule.names.begin(), rule.names.end(), text) != rule.names.end(),
                  ConfigError, pointer, ": unknown '", one_line(text, 60), "', have: ", rule.text());
  field = text;
}

void read_value(const Json& value, const std::string& pointer, const Rule& rule, std::vector<int>& field) {
  read_list(value, pointer, rule, field);
}

void read_value(const Json& value, const std::string& pointer, const Rule& rule, std::vector<double>& field) {
  read_list(value, pointer, rule, field);
}

void read_value(const Json& value, const std::string& pointer, const Rule& rule, std::vector<std::string>& field) {
  read_list(value, pointer, rule, field);
}

void read_value(const Json& value, const std::string&, const Rule&, Json& field) {
  field = value;
}

void require_object(const Json& value, const std::string& pointer) {
  if (!value.is_object()) {
    wrong_type(pointer.empty() ? "/" : pointer, "an object", value);
  }
}

std::string pointer_to(const std::string& pointer, const std::string& name) {
  std::string out = pointer + "/";
  for (const char c : name) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

void read_fields(const Json& object, std::vector<OptionField>& fields, const std::string& pointer) {
  require_object(object, pointer);
  for (OptionField& field : fields) {
    if (const auto member = object.find(field.name); member != object.end()) {
      read_field(*member, pointer_to(pointer, field.name), field);
    }
  }
  require_known_keys(object, pointer, fields);
}

Json write_fields(const std::vector<OptionField>& fields) {
  Json object = Json::object();
  for (const OptionField& field : fields) {
    object[field.name] = written(field);
  }
  return object;
}

Json identity_of_fields(const std::vector<OptionField>& fields, const Json& defaults) {
  Json object = Json::object();
  for (const OptionField& field : fields) {
    if (!field.rule.identity) {
      continue;
    }
    if (const auto* group = std::get_if<OptionGroup>(&field.value)) {
      if (Json inner = identity_of_fields(group->fields, group->defaults()); !inner.empty()) {
        object[field.name] = std::move(inner);
      }
    } else if (const auto* map = std::get_if<OptionMap>(&field.value)) {
      for (const auto& [key, item] : map->items) {
        object[field.name][key] = identity_of_fields(item.fields, item.defaults());
      }
    } else if (Json value = written(field); value != defaults.at(field.name)) {
      object[field.name] = std::move(value);
    }
  }
  return object;
}

std::vector<OptionRow> field_rows(const std::vector<OptionField>& fields, const std::string& pointer) {
  std::vector<OptionRow> rows;
  for (const OptionField& field : fields) {
    const std::string at = pointer_to(pointer, field.name);
    std::vector<OptionRow> inner;
    if (const auto* group = std::get_if<OptionGroup>(&field.value)) {
      inner = field_rows(group->fields, at);
    } else if (const auto* map = std::get_if<OptionMap>(&field.value)) {
      inner = field_rows(map->add("NAME").fields, at + "/NAME");
    } else {
      inner = {{at, type_of(field), dump_line(written(field)), field.rule.text(), field.help}};
    }
    rows.insert(rows.end(), inner.begin(), inner.end());
  }
  return rows;
}

}  // namespace regatta
