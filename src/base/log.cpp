#include "regatta/base/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace regatta {
namespace {

std::string& place_text() {
  static std::string place;
  return place;
}

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("regatta", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%Y-%m-%d %H:%M:%S %^%L%$ %v");
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void set_log_place(std::string_view place) {
  place_text() = place;
}

const std::string& log_place() {
  return place_text();
}

void set_log_level(LogLevel least) {
  logger().set_level(spdlog_level(least));
}

void log_line(LogLevel level, std::string_view text) {
  if (place_text().empty()) {
    logger().log(spdlog_level(level), "{}", text);
  } else {
    logger().log(spdlog_level(level), "[{}] {}", place_text(), text);
  }
}

}  // namespace regatta
