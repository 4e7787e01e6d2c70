#include "regatta/base/run_main.hpp"

#include <exception>
#include <filesystem>
#include <new>

#include "regatta/base/listed_error.hpp"
#include "regatta/base/log.hpp"

namespace regatta {
namespace {

constexpr std::size_t kLongestLine = 2000;  ///< names in it may be hostile: control characters are written out

constexpr std::size_t kLongestItem = 300;
constexpr std::size_t kMostItems = 100;

void log_list(const ListedError& error) {
  const auto& items = error.items();
  if (items.size() == 1) {
    log_error(one_line(error.what(), kLongestLine));
    return;
  }
  log_error(one_line(error.head(), kLongestLine), ":");
  for (std::size_t i = 0; i < items.size() && i < kMostItems; ++i) {
    log_error("  ", one_line(items[i], kLongestItem));
  }
  if (items.size() > kMostItems) {
    log_error("  and ", items.size() - kMostItems, " more");
  }
}

}  // namespace

int run_main(const std::function<ExitCode()>& body, const std::function<void(ExitCode)>& on_error) {
  ExitCode code = ExitCode::kBug;
  try {
    return static_cast<int>(body());
  } catch (const ListedError& error) {
    code = error.code();
    log_list(error);
  } catch (const Error& error) {
    code = error.code();
    log_error(one_line(error.what(), kLongestLine));
  } catch (const std::filesystem::filesystem_error& error) {
    code = ExitCode::kData;
    log_error(one_line(error.what(), kLongestLine));
  } catch (const std::bad_alloc&) {
    code = ExitCode::kOutOfMemory;
    log_error("out of host memory");
  } catch (const std::exception& error) {
    log_error("unexpected error, please report it: ", one_line(error.what(), kLongestLine));
  }
  if (on_error) {
    on_error(code);
  }
  return static_cast<int>(code);
}

}  // namespace regatta
