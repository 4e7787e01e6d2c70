#include "regatta/base/version.hpp"

namespace regatta {

std::string version_text() {
  return REGATTA_VERSION;
}

std::string git_revision() {
  return REGATTA_GIT_REVISION;
}

std::string build_id() {
  return version_text() + " " + git_revision();
}

}  // namespace regatta
