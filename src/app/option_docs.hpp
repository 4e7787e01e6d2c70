// Markdown tables of options, from the same `visit` functions that read them. Behind docs/recipes.md.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "regatta/config/options.hpp"

namespace regatta::app {

/// One table: option, type, default, allowed values, meaning.
inline void print_option_table(std::ostream& out, const std::vector<OptionRow>& rows) {
  out << "| option | type | default | allowed | |\n| --- | --- | --- | --- | --- |\n";
  for (const OptionRow& row : rows) {
    out << "| `" << row.pointer << "` | " << row.type << " | `" << row.default_text << "` | " << row.allowed << " | "
        << row.help << " |\n";
  }
}

/// True if the program was asked for its part of docs/recipes.md: `PROGRAM --markdown-options`.
inline bool asks_for_option_docs(int argc, char** argv) {
  return argc == 2 && std::string(argv[1]) == "--markdown-options";
}

}  // namespace regatta::app
