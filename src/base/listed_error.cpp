#include "regatta/base/listed_error.hpp"

#include <span>

namespace regatta {
namespace {

constexpr std::size_t kMostInOneLine = 6;

std::string as_one_line(const std::string& head, const std::vector<std::string>& items) {
  const std::size_t shown = items.size() > kMostInOneLine ? kMostInOneLine : items.size();
  const std::string text = str(head, ": ", join(std::span(items).first(shown), "; "));
  return shown == items.size() ? text : str(text, "; and ", items.size() - shown, " more");
}

}  // namespace

ListedError::ListedError(const std::string& head, std::vector<std::string> items)
    : DataError(as_one_line(head, items)), head_(head), items_(std::move(items)) {}

}  // namespace regatta
