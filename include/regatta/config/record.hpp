// Records that the program writes and reads again, such as result.json. A function `visit(record, v)` names each member
// once; JSON out and in are visitors over it. Unlike options they have no defaults that a user may leave out, no help
// and no allowed values, and unknown members of newer builds are passed over.
//
//   template <class Record, class V>
//   void visit(Record& r, V&& v) {
//     v("steps", r.steps);
//     v("rollbacks", r.rollbacks, Presence::kOptional);
//   }
#pragma once

#include <map>
#include <string>
#include <type_traits>

#include <nlohmann/json.hpp>

#include "regatta/config/options.hpp"

namespace regatta {

enum class Presence {
  kRequired,
  kOptional,  ///< always written; absent in files of older builds, which leaves the member's default
  kWhenSet    ///< a text: written unless it is empty
};

/// "best": {"dice": 0.71}; NaN and infinities as strings. @throws ConfigError for a value that is no number
std::map<std::string, double> numbers_from_json(const Json& object, const std::string& pointer);

class RecordWriter {
 public:
  template <class Field>
  void operator()(const char* name, const Field& field, Presence presence = Presence::kRequired) {
    if constexpr (std::is_same_v<Field, double>) {
      value_[name] = number_to_json(field);
    } else if constexpr (std::is_same_v<Field, std::map<std::string, double>>) {
      value_[name] = numbers_to_json(field);
    } else if constexpr (detail::Visitable<Field>) {
      value_[name] = write_options(field);
    } else if constexpr (std::is_same_v<Field, std::string>) {
      if (presence != Presence::kWhenSet || !field.empty()) {
        value_[name] = field;
      }
    } else {
      static_assert(std::is_integral_v<Field>);
      value_[name] = field;
    }
  }

  const Json& value() const { return value_; }

 private:
  Json value_ = Json::object();
};

/// @throws ConfigError or Json::exception naming the member that is missing or of another type
class RecordReader {
 public:
  explicit RecordReader(const Json& value) : value_(value) { require_object(value, ""); }

  template <class Field>
  void operator()(const char* name, Field& field, Presence presence = Presence::kRequired) {
    if (presence != Presence::kRequired && !value_.contains(name)) {
      return;
    }
    const Json& member = value_.at(name);
    const std::string pointer = std::string("/") + name;
    if constexpr (std::is_same_v<Field, double>) {
      field = number_from_json(member, pointer);
    } else if constexpr (std::is_same_v<Field, std::map<std::string, double>>) {
      field = numbers_from_json(member, pointer);
    } else if constexpr (detail::Visitable<Field>) {
      read_options(member, field, pointer);
    } else {
      field = member.get<Field>();
    }
  }

 private:
  const Json& value_;
};

}  // namespace regatta
