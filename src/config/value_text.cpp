#include "regatta/config/value_text.hpp"

#include <vector>

#include <nlohmann/json.hpp>

#include "regatta/base/text.hpp"

namespace regatta {
namespace {

std::string object_text(const Json& object) {
  std::string name;
  std::vector<std::string> parts;
  const char* separator = ", ";
  for (const auto& member : object.items()) {
    const Json& value = member.value();
    if (member.key() == "name" && value.is_string()) {
      name = value.get<std::string>();
    } else if (member.key() == "options" && value.is_object()) {
      if (!value.empty()) {
        parts.push_back(object_text(value));
      }
    } else {
      separator = value.is_object() ? "; " : separator;  // "ncc weight 1, window 9; grad weight 2"
      parts.push_back(str(member.key(), " ", value_text(value)));
    }
  }
  const std::string rest = join(parts, separator);
  return name.empty() || rest.empty() ? name + rest : str(name, " ", rest);
}

}  // namespace

std::string value_text(const Json& value) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  const std::string text = value.is_object() ? object_text(value) : std::string();
  return text.empty() ? dump_line(value) : text;
}

}  // namespace regatta
