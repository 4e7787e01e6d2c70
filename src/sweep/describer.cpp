// Asks another program what it knows about recipes, and reads its answers.
#include "regatta/sweep/describer.hpp"

#include <algorithm>

#include "regatta/base/error.hpp"
#include "regatta/base/run_program.hpp"

namespace regatta {
namespace {

template <class T>
void read_member(const Json& value, const char* name, const std::string& source, bool fits, T& field) {
  REGATTA_REQUIRE(fits, DataError, source, ": '", name, "' is missing or of another type");
  field = value.at(name).get<T>();
}

}  // namespace

Description description_from_json(const Json& value, const std::string& source) {
  REGATTA_REQUIRE(value.is_object(), DataError, source, ": expected an object, got ", type_name(value));
  const auto find = [&value](const char* name) -> const Json& {
    static const Json nothing;
    const auto found = value.find(name);
    return found == value.end() ? nothing : *found;
  };
  Description answer;
  if (value.contains("error")) {
    read_member(value, "error", source, find("error").is_string(), answer.error);
    if (value.contains("code")) {
      read_member(value, "code", source, find("code").is_number_integer(), answer.error_code);
    }
    return answer;
  }
  read_member(value, "resolved", source, find("resolved").is_object(), answer.resolved);
  read_member(value, "identity", source, find("identity").is_object(), answer.identity);
  read_member(value, "hash", source, find("hash").is_string(), answer.hash);
  read_member(value, "parameters", source, find("parameters").is_number_integer(), answer.parameters);
  read_member(value, "mul_adds", source, find("mul_adds").is_number(), answer.mul_adds);
  read_member(value, "size_multiple", source, find("size_multiple").is_number_integer(), answer.size_multiple);
  read_member(value, "forecast_bytes", source, find("forecast_bytes").is_number(), answer.forecast_bytes);
  answer.least_bytes = answer.forecast_bytes;
  if (value.contains("least_bytes")) {
    read_member(value, "least_bytes", source, find("least_bytes").is_number(), answer.least_bytes);
  }
  if (value.contains("backend")) {
    read_member(value, "backend", source, find("backend").is_string(), answer.backend);
  }
  if (value.contains("notes")) {
    read_member(value, "notes", source, find("notes").is_array(), answer.notes);
  }
  read_member(value, "steps", source, find("steps").is_number_integer(), answer.steps);
  if (value.contains("steps_per_epoch")) {
    read_member(value, "steps_per_epoch", source, find("steps_per_epoch").is_number_integer(), answer.steps_per_epoch);
  }
  read_member(value, "data", source, find("data").is_object(), answer.data);
  REGATTA_REQUIRE(find("metrics").is_object(), DataError, source, ": 'metrics' is missing or of another type");
  for (const auto& metric : find("metrics").items()) {
    const bool fits = metric.value() == "maximise" || metric.value() == "minimise";
    REGATTA_REQUIRE(fits, DataError, source, ": metrics: '", metric.key(), "': expected maximise or minimise");
    answer.metrics[metric.key()] = metric.value().get<std::string>();
  }
  return answer;
}

std::int64_t epoch_steps(const Description& description) {
  if (description.steps_per_epoch > 0) {
    return description.steps_per_epoch;
  }
  const Json* epochs = find_pointer(description.resolved, "/train/epochs");
  const bool is_known = epochs != nullptr && epochs->is_number_integer() && *epochs > 0;
  return std::max<std::int64_t>(1, is_known ? description.steps / epochs->get<std::int64_t>() : description.steps);
}

Json to_json(const Description& description) {
  if (!description.error.empty()) {
    return {{"error", description.error}, {"code", description.error_code}};
  }
  Json metrics = Json::object();
  for (const auto& [name, direction] : description.metrics) {
    metrics[name] = direction;
  }
  return {{"resolved", description.resolved},
          {"identity", description.identity},
          {"hash", description.hash},
          {"parameters", description.parameters},
          {"mul_adds", description.mul_adds},
          {"size_multiple", description.size_multiple},
          {"forecast_bytes", description.forecast_bytes},
          {"least_bytes", description.least_bytes},
          {"backend", description.backend},
          {"notes", description.notes},
          {"steps", description.steps},
          {"steps_per_epoch", description.steps_per_epoch},
          {"metrics", metrics},
          {"data", description.data}};
}

std::vector<Description> ProgramDescriber::describe(const std::vector<Json>& recipes) {
  const std::string source = str(program_.filename().string(), " describe");
  Json question = Json::object();
  question["recipes"] = recipes;
  const Json answer = parse_json(run_program_for_text({program_.string(), "describe"}, dump_line(question)), source);
  const Json* list = answer.is_object() ? find_pointer(answer, "/recipes") : nullptr;
  REGATTA_REQUIRE(list != nullptr && list->is_array() && list->size() == recipes.size(), DataError, source,
                  ": expected {\"recipes\": [", recipes.size(), " answers]}");
  std::vector<Description> descriptions;
  for (std::size_t i = 0; i < list->size(); ++i) {
    descriptions.push_back(description_from_json((*list)[i], str(source, ": recipe ", i)));
  }
  return descriptions;
}

}  // namespace regatta
