#include "regatta/base/shell.hpp"

#include "support/catch.hpp"

using namespace regatta;

TEST_CASE("shell words are quoted where needed") {
  CHECK(shell_quote("/a/b-c_1.safetensors") == "/a/b-c_1.safetensors");
  CHECK(shell_quote("") == "''");
  CHECK(shell_quote("it's $HOME") == "'it'\\''s $HOME'");
  CHECK(shell_quote("~/x") == "'~/x'");
}
