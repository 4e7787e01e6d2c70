#include "regatta/base/run_main.hpp"

#include <exception>
#include <new>

#include "regatta/base/log.hpp"

namespace regatta {

int run_main(const std::function<ExitCode()>& body, const std::function<void(ExitCode)>& on_error) {
  ExitCode code = ExitCode::kBug;
  try {
    return static_cast<int>(body());
  } catch (const Error& error) {
    code = error.code();
    log_error(error.what());
  } catch (const std::bad_alloc&) {
    code = ExitCode::kOutOfMemory;
    log_error("out of host memory");
  } catch (const std::exception& error) {
    log_error("unexpected error, please report it: ", one_line(error.what(), 2000));
  }
  if (on_error) {
    on_error(code);
  }
  return static_cast<int>(code);
}

}  // namespace regatta
