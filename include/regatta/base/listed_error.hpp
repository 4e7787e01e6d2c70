// An error with a list: what is wrong with a file, item by item. Printed as a list; in one line it is cut.
#pragma once

#include <string>
#include <vector>

#include "regatta/base/error.hpp"

namespace regatta {

class ListedError : public DataError {
 public:
  /// @param head   "FILE: as 'vfa'", without a colon at its end
  /// @param items  at least one; what() holds the first few
  ListedError(const std::string& head, std::vector<std::string> items);

  const std::string& head() const { return head_; }
  const std::vector<std::string>& items() const { return items_; }

 private:
  std::string head_;
  std::vector<std::string> items_;
};

}  // namespace regatta
