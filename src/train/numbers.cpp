// Named numbers and JSON.
#include "train/numbers.hpp"

#include <nlohmann/json.hpp>

#include "regatta/config/options.hpp"

namespace regatta {

std::map<std::string, double> numbers_from_json(const Json& object) {
  require_object(object, "");
  std::map<std::string, double> numbers;
  for (const auto& member : object.items()) {
    numbers[member.key()] = number_from_json(member.value(), pointer_to("", member.key()));
  }
  return numbers;
}

}  // namespace regatta
