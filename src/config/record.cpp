#include "regatta/config/record.hpp"

namespace regatta {

std::map<std::string, double> numbers_from_json(const Json& object, const std::string& pointer) {
  require_object(object, pointer);
  std::map<std::string, double> numbers;
  for (const auto& member : object.items()) {
    numbers[member.key()] = number_from_json(member.value(), pointer_to(pointer, member.key()));
  }
  return numbers;
}

}  // namespace regatta
