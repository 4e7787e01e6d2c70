// The program's log: one line a message on stderr, with time, level and the process's place (rank, host, gpu).
#pragma once

#include <string_view>

#include "regatta/base/text.hpp"

namespace regatta {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Sets what stands in brackets before each message, for example "rank 3 node2 gpu 1".
void set_log_place(std::string_view place);
const std::string& log_place();

void set_log_level(LogLevel least);
void log_line(LogLevel level, std::string_view text);

template <class... Parts>
void log_debug(const Parts&... parts) {
  log_line(LogLevel::kDebug, str(parts...));
}

template <class... Parts>
void log_info(const Parts&... parts) {
  log_line(LogLevel::kInfo, str(parts...));
}

template <class... Parts>
void log_warning(const Parts&... parts) {
  log_line(LogLevel::kWarning, str(parts...));
}

template <class... Parts>
void log_error(const Parts&... parts) {
  log_line(LogLevel::kError, str(parts...));
}

}  // namespace regatta
