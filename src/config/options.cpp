#include "regatta/config/options.hpp"

#include <algorithm>
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

void require_known_keys(const Json& object, const std::string& pointer, const std::vector<std::string>& known) {
  for (const auto& member : object.items()) {
    REGATTA_REQUIRE(std::find(known.begin(), known.end(), member.key()) != known.end(), ConfigError,
                    pointer_to(pointer, one_line(member.key(), 60)), ": unknown key, have: ", join(known, ", "));
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

std::string option_type(const bool&) {
  return "true/false";
}

std::string option_type(const int&) {
  return "integer";
}

std::string option_type(const std::int64_t&) {
  return "integer";
}

std::string option_type(const double&) {
  return "number";
}

std::string option_type(const std::string&) {
  return "text";
}

std::string option_type(const std::vector<int>&) {
  return "list of integers";
}

std::string option_type(const std::vector<double>&) {
  return "list of numbers";
}

std::string option_type(const std::vector<std::string>&) {
  return "list of texts";
}

std::string option_type(const Json&) {
  return "object";
}

}  // namespace regatta
