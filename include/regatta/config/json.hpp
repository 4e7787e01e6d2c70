// JSON as the program reads and writes it: strict on the way in, safe on the way out.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace regatta {

/// Keeps the order in which members were written.
using Json = nlohmann::ordered_json;

/// Strict: one value, no duplicate keys, no comments, at most 64 levels.
/// @param source  what the text is, for messages: a path or "--set"
/// @throws ConfigError with source, line and column
Json parse_json(std::string_view text, const std::string& source);

/// @throws DataError if the file cannot be read, ConfigError as `parse_json`
Json read_json(const std::filesystem::path& path);

/// One line. Text that is not UTF-8 is written with replacement characters, never refused.
std::string dump_line(const Json& value);

/// Indented by two, newline at the end: files for people.
std::string dump_pretty(const Json& value);

/// Keys sorted, no blanks: the text that is hashed.
std::string dump_canonical(const Json& value);

/// XXH3 of the canonical text, 16 hexadecimal digits.
std::string hash_json(const Json& value);

/// A number, or the strings "nan", "inf", "-inf" (JSON has no such numbers).
Json number_to_json(double value);

/// Null for no number.
Json number_or_null(const std::optional<double>& value);

/// One object, a member for each number.
Json numbers_to_json(const std::map<std::string, double>& numbers);

/// The reverse of `number_to_json`. @throws ConfigError for anything else
double number_from_json(const Json& value, const std::string& pointer);

/// "a number", "a string" ...: what `value` is, for messages.
const char* type_name(const Json& value);

/// The member at a JSON pointer ("/losses/grad/weight"), or nullptr.
const Json* find_pointer(const Json& root, const std::string& pointer);

/// Replaces the member at the pointer. @throws ConfigError if it is not there, naming the nearest existing parent's
/// keys
void set_pointer(Json& root, const std::string& pointer, const Json& value);

}  // namespace regatta
