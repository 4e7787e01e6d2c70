#include "regatta/config/settings.hpp"

#include <set>

#include "regatta/base/error.hpp"
#include "regatta/config/options.hpp"

namespace regatta {
namespace {

Json member_of(const Json& object, const std::string& key) {
  return object.is_object() ? object.value(key, Json()) : Json();
}

/// An absent member is null here. An object without members is a leaf: a loss whose options are all at default.
void collect_differences(const Json& before, const Json& now, const std::string& pointer,
                         std::vector<std::string>& out) {
  std::set<std::string> keys;
  for (const Json* object : {&before, &now}) {
    if (object->is_object()) {
      for (const auto& member : object->items()) {
        keys.insert(member.key());
      }
    }
  }
  const auto may_descend = [](const Json& value) { return value.is_object() || value.is_null(); };
  if (!keys.empty() && may_descend(before) && may_descend(now)) {
    for (const std::string& key : keys) {
      collect_differences(member_of(before, key), member_of(now, key), pointer_to(pointer, key), out);
    }
  } else if (before != now) {
    const auto text = [](const Json& value) {
      return value.is_null() ? std::string("(default)") : one_line(dump_line(value), 80);
    };
    out.push_back(str(pointer, ": ", text(before), " -> ", text(now)));
  }
}

}  // namespace

Setting parse_setting(const std::string& text) {
  const std::size_t equals = text.find('=');
  REGATTA_REQUIRE(equals != std::string::npos && text.starts_with('/'), ConfigError, "--set '", one_line(text, 80),
                  "': expected POINTER=VALUE, for example /optim/lr=0.001");
  const std::string value = text.substr(equals + 1);
  return {text.substr(0, equals), Json::accept(value) ? parse_json(value, "--set") : Json(value)};
}

std::vector<std::string> json_differences(const Json& before, const Json& now) {
  std::vector<std::string> found;
  collect_differences(before, now, "", found);
  return found;
}

}  // namespace regatta
