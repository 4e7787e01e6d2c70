// Warnings about files that are read all the same: each once, and of one kind only the first few.
#pragma once

#include <map>
#include <set>
#include <string>

namespace regatta {

/// Decides which remarks are worth a line. @see remark
class Remarks {
 public:
  static constexpr std::size_t kMostOfAKind = 5;

  /// @return the line to log, or "" for a text that was logged before or that the limit leaves out
  std::string line_of(const std::string& kind, const std::string& text);

 private:
  std::map<std::string, std::set<std::string>> said_;  ///< texts by kind
};

/// Logs `text` as a warning unless this process did before. After `kMostOfAKind` texts of a kind one line says that
/// further ones are not logged. Threads may call it at the same time.
/// @param kind  what is remarked on, in words, as "files with trailing bytes"
void remark(const std::string& kind, const std::string& text);

}  // namespace regatta
