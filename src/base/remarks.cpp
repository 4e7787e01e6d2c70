#include "regatta/base/remarks.hpp"

#include <mutex>

#include "regatta/base/log.hpp"

namespace regatta {

std::string Remarks::line_of(const std::string& kind, const std::string& text) {
  std::set<std::string>& said = said_[kind];
  if (said.size() > kMostOfAKind || !said.insert(text).second) {
    return "";
  }
  return said.size() > kMostOfAKind ? str("further ", kind, " are not listed") : text;
}

void remark(const std::string& kind, const std::string& text) {
  static std::mutex mutex;
  static Remarks remarks;
  const std::lock_guard lock(mutex);
  if (const std::string line = remarks.line_of(kind, text); !line.empty()) {
    log_warning(line);
  }
}

}  // namespace regatta
