// The program `regatta`: every light command; runs the others by exec, as git does.
#include <iostream>

#include "app/command.hpp"
#include "app/option_docs.hpp"
#include "regatta/config/job.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/sweep/space.hpp"
#include "regatta/volume/dataset.hpp"

namespace {

/// The head of docs/recipes.md and the files that the light program reads.
void print_option_docs() {
  using namespace regatta;
  std::cout
      << "# Files that you write\n\nWritten by `tools/dev/make_docs.sh` from the program; do not edit. Unknown keys, "
         "wrong "
         "types and values outside the allowed ones are refused with the JSON pointer, before anything starts.\n\n"
         "## Data set file: `regatta pack`\n\n";
  app::print_option_table(std::cout, option_rows<DatasetOptions>());
  std::cout << "\nEach row of `subjects`:\n\n";
  app::print_option_table(std::cout, option_rows<SubjectEntry>());
  std::cout
      << "\n## Job: `regatta plan`, `regatta sweep`\n\n`axes` maps a JSON pointer into the recipe to one axis.\n\n";
  app::print_option_table(std::cout, option_rows<JobOptions>());
  std::cout << "\nSamplers:\n\n| name | |\n| --- | --- |\n";
  for (const SamplerRow& row : sampler_rows()) {
    std::cout << "| `" << row.name << "` | " << row.help << " |\n";
  }
  std::cout << "\n## Recipe: `regatta train`\n\n";
  app::print_option_table(std::cout, option_rows<Recipe>());
}

}  // namespace

int main(int argc, char** argv) {
  if (regatta::app::asks_for_option_docs(argc, argv)) {
    print_option_docs();
    return 0;
  }
  return regatta::app::run_program(regatta::app::Program::kRegatta, argc, argv);
}
