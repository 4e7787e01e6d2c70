// A call in a process of its own: how it ends and how much memory it takes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace regatta::test {

struct Attempt {
  int exit_code = -1;            ///< 0, or the code of the Error that was thrown; 256 + signal if it was killed
  std::string text;              ///< of the Error
  std::uint64_t peak_bytes = 0;  ///< most resident memory above that at the start
};

/// Fails the test unless the call ends within two minutes.
Attempt attempt(const std::function<void()>& body);

/// What a refusal of a hostile file may take beyond twice what the file implies: buffers, and the sanitizers' shadow.
inline constexpr std::uint64_t kSlackBytes = std::uint64_t{24} << 20;

/// One line that holds `part`, exit code 3, and no more memory than that.
void require_refused(const Attempt& attempt, const std::string& part, std::uint64_t implied_bytes = 0);

}  // namespace regatta::test
