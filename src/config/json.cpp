#include "regatta/config/json.hpp"

#include <cmath>
#include <set>
#include <vector>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"

namespace regatta {
namespace {

constexpr int kDeepest = 64;

/// Where a byte offset lies, counted from 1.
std::string position_text(std::string_view text, std::size_t offset) {
  std::size_t line = 1;
  std::size_t column = 1;
  for (const char c : text.substr(0, offset)) {
    if (c == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
  }
  return str("line ", line, " column ", column);
}

}  // namespace

Json parse_json(std::string_view text, const std::string& source) {
  std::vector<std::set<std::string>> keys;
  const Json::parser_callback_t refuse_duplicates = [&](int depth, Json::parse_event_t event, Json& parsed) {
    REGATTA_REQUIRE(depth <= kDeepest, ConfigError, source, ": nested deeper than ", kDeepest, " levels");
    if (event == Json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (event == Json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      REGATTA_REQUIRE(keys.back().insert(key).second, ConfigError, source, ": key '", one_line(key), "' stands twice");
    }
    return true;
  };
  try {
    return Json::parse(text, refuse_duplicates);
  } catch (const Json::parse_error& error) {
    const std::size_t offset = error.byte > 0 ? error.byte - 1 : 0;
    const std::string_view near = text.substr(std::min(offset, text.size()), 20);
    throw ConfigError(str(source, ": ", position_text(text, offset), ": not JSON",
                          near.empty() ? std::string(", it ends too early") : str(" near '", one_line(near), "'")));
  } catch (const Json::out_of_range&) {
    throw ConfigError(str(source, ": a number is too large for any type"));
  }
}

Json read_json(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

std::string dump_line(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string dump_pretty(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string dump_canonical(const Json& value) {
  return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string hash_json(const Json& value) {
  return xxh3_text(dump_canonical(value));
}

Json number_to_json(double value) {
  if (std::isfinite(value)) {
    return value;
  }
  return to_text(value);
}

Json number_or_null(const std::optional<double>& value) {
  return value ? number_to_json(*value) : Json();
}

Json numbers_to_json(const std::map<std::string, double>& numbers) {
  Json object = Json::object();
  for (const auto& [name, value] : numbers) {
    object[name] = number_to_json(value);
  }
  return object;
}

double number_from_json(const Json& value, const std::string& pointer) {
  if (value.is_number()) {
    return value.get<double>();
  }
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text == "nan") {
      return std::nan("");
    }
    if (text == "inf" || text == "-inf") {
      return text == "inf" ? HUGE_VAL : -HUGE_VAL;
    }
  }
  throw ConfigError(str(pointer, ": expected a number, got ", type_name(value)));
}

const char* type_name(const Json& value) {
  if (value.is_number_integer()) {
    return "an integer";
  }
  if (value.is_number()) {
    return "a number";
  }
  if (value.is_string()) {
    return "a string";
  }
  if (value.is_boolean()) {
    return "true or false";
  }
  if (value.is_array()) {
    return "a list";
  }
  return value.is_object() ? "an object" : "null";
}

const Json* find_pointer(const Json& root, const std::string& pointer) {
  try {
    const Json::json_pointer parsed(pointer);
    return root.contains(parsed) ? &root.at(parsed) : nullptr;
  } catch (const Json::exception&) {
    return nullptr;
  }
}

void set_pointer(Json& root, const std::string& pointer, const Json& value) {
  if (find_pointer(root, pointer) != nullptr && !pointer.empty()) {
    root.at(Json::json_pointer(pointer)) = value;
    return;
  }
  std::string parent = pointer;
  while (!parent.empty() && find_pointer(root, parent) == nullptr) {
    const std::size_t slash = parent.rfind('/');
    parent.resize(slash == std::string::npos ? 0 : slash);
  }
  std::vector<std::string> have;
  if (const Json* found = find_pointer(root, parent); found != nullptr && found->is_object()) {
    for (const auto& member : found->items()) {
      have.push_back(member.key());
    }
  }
  throw ConfigError(str("'", one_line(pointer), "': no such option; ", parent.empty() ? "/" : parent.c_str(),
                        " has: ", join(have, ", ")));
}

}  // namespace regatta
