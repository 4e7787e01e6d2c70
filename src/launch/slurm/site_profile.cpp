// The "#REGATTA key=value" lines of a shell file, checked.
#include "regatta/launch/site_profile.hpp"

#include <charconv>
#include <set>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSiteMark = "#REGATTA";
constexpr std::uint64_t kProfileBytes = 1 << 20;

std::set<std::string> number_keys() {
  std::set<std::string> keys;
  SiteProfile profile;
  SiteProfile::visit(profile, [&keys](const char* name, auto& field, const char*, const Rule& = {}) {
    if (std::is_same_v<std::decay_t<decltype(field)>, int>) {
      keys.emplace(name);
    }
  });
  return keys;
}

/// Texts that are no number stay texts, so that `read_options` says what was expected.
Json value_from(const std::string& text, bool is_number) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool fits = is_number && error == std::errc() && end == text.data() + text.size();
  return fits ? Json(number) : Json(text);
}

Json read_lines(const std::string& text, const fs::path& file) {
  Json object = Json::object();
  const std::set<std::string> numbers = number_keys();
  int number = 0;
  for (const std::string& line : split(text, '\n')) {
    ++number;
    if (!line.starts_with(kSiteMark)) {
      continue;
    }
    const std::string_view rest = std::string_view(line).substr(kSiteMark.size());
    const std::size_t equals = rest.find('=');
    REGATTA_REQUIRE(equals != std::string_view::npos, ConfigError, file.string(), ":", number, ": '",
                    one_line(line, 80), "': expected #REGATTA key=value");
    const std::string key{trim(rest.substr(0, equals))};
    const std::string value{trim(rest.substr(equals + 1))};
    REGATTA_REQUIRE(!object.contains(key), ConfigError, file.string(), ":", number, ": '", one_line(key, 40),
                    "' stands there twice");
    REGATTA_REQUIRE(is_plain_value(value), ConfigError, file.string(), ":", number, ": '", one_line(value, 60),
                    "': a value is made of letters, digits and . _ = + : , @ -");
    object[key] = value_from(value, numbers.contains(key));
  }
  return object;
}

std::vector<fs::path> profile_folders(const fs::path& home) {
  return {home / "env", home.parent_path().parent_path() / "env"};  // an installation; a checkout's build/release
}

bool is_profile(const fs::path& file) {
  const std::string text = read_file(file, kProfileBytes);
  return text.starts_with(kSiteMark) || text.find("\n" + std::string(kSiteMark)) != std::string::npos;
}

std::set<std::string> profile_names(const std::vector<fs::path>& folders) {
  std::set<std::string> names;
  for (const fs::path& folder : folders) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".sh" && is_profile(entry.path())) {
        names.insert(entry.path().stem().string());
      }
    }
  }
  return names;
}

}  // namespace

bool is_plain_value(const std::string& value) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=+:,@-";
  return !value.empty() && value.find_first_not_of(kAllowed) == std::string::npos;
}

SiteProfile read_site_profile(const fs::path& file) {
  REGATTA_REQUIRE(fs::is_regular_file(file), ConfigError, one_line(file.string()), ": no such site profile");
  const Json object = read_lines(read_file(file, kProfileBytes), file);
  REGATTA_REQUIRE(!object.empty(), ConfigError, file.string(), ": has no '#REGATTA key=value' line: no site profile");
  SiteProfile profile;
  try {
    read_options(object, profile);
  } catch (const ConfigError& error) {
    throw ConfigError(str(file.string(), ": ", error.what()));
  }
  profile.file = fs::absolute(file).lexically_normal();
  return profile;
}

fs::path find_site_profile(const std::string& site, const fs::path& home) {
  if (site.find('/') != std::string::npos) {
    return site;
  }
  const auto folders = profile_folders(home);
  for (const fs::path& folder : folders) {
    if (is_plain_value(site) && fs::is_regular_file(folder / (site + ".sh"))) {
      return folder / (site + ".sh");
    }
  }
  throw ConfigError(str("--site: there is no profile '", one_line(site, 60),
                        "', have: ", join(profile_names(folders), ", "), "; a path has a '/'"));
}

}  // namespace regatta
