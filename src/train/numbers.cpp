// Named numbers and JSON.
#include "train/numbers.hpp"

#include <nlohmann/json.hpp>

#include "regatta/config/options.hpp"

namespace regatta {

Json numbers_to_json(const std::map<std::string, double>& numbers) {
  Json object = Json::object();
  for (const auto& [name, value] : numbers) {
    object[name] = number_to_json(value);
  }
  return object;
}

std::map<std::string, double> numbers_from_json(const Json& object) {
  require_object(object, "");
  std::map<std::string, double> numbers;
  for (const auto& member : object.items()) {
    numbers[member.key()] = number_from_json(member.value(), pointer_to("", member.key()));
  }
  return numbers;
}

}  // namespace regatta
