#include "regatta/base/remarks.hpp"

#include "regatta/base/text.hpp"
#include "support/catch.hpp"

using namespace regatta;

TEST_CASE("a remark is made once, and of one kind only the first few are") {
  Remarks remarks;
  CHECK(remarks.line_of("odd files", "a is odd") == "a is odd");
  CHECK(remarks.line_of("odd files", "a is odd").empty());
  for (std::size_t i = 1; i < Remarks::kMostOfAKind; ++i) {
    CHECK(remarks.line_of("odd files", str(i, " is odd")) == str(i, " is odd"));
  }
  CHECK(remarks.line_of("odd files", "b is odd") == "further odd files are not listed");
  CHECK(remarks.line_of("odd files", "c is odd").empty());
  CHECK(remarks.line_of("odd files", "a is odd").empty());
  CHECK(remarks.line_of("even files", "a is even") == "a is even");
}
