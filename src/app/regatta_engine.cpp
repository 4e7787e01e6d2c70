// The program `regatta-engine`: whatever needs LibTorch.
#include <iostream>

#include "app/command.hpp"
#include "app/model_docs.hpp"
#include "app/option_docs.hpp"
#include "regatta/nn/loss.hpp"
#include "regatta/nn/metric.hpp"

namespace {

/// The part of docs/recipes.md that only the registries of nn know.
void print_registry_docs() {
  using namespace regatta;
  std::cout << "\nNetworks, `/model/name`, and their options: [models.md](models.md).\n";
  std::cout << "\nLosses, keys of `/losses`:\n\n| name | options | |\n| --- | --- | --- |\n";
  for (const LossRow& row : loss_rows()) {
    std::cout << "| `" << row.name << "` | `" << dump_line(row.make(Json::object())->options()) << "` | " << row.help
              << " |\n";
  }
  std::vector<OptionRow> options;
  for (const LossRow& row : loss_rows()) {
    for (OptionRow option : row.make(Json::object())->option_table()) {
      option.pointer = str("/losses/", row.name, "/options", option.pointer);
      options.push_back(option);
    }
  }
  std::cout << "\nTheir options:\n\n";
  app::print_option_table(std::cout, options);
  std::cout << "\nMetrics, `/validation/metrics`:\n\n| name | better | needs | |\n| --- | --- | --- | --- |\n";
  for (const MetricRow& row : metric_rows()) {
    std::cout << "| `" << row.name << "` | " << (row.direction == Direction::kHigherIsBetter ? "higher" : "lower")
              << " | " << row.needs << " | " << row.help << " |\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (regatta::app::asks_for_option_docs(argc, argv)) {
    print_registry_docs();
    return 0;
  }
  if (argc == 2 && std::string(argv[1]) == "--markdown-models") {
    regatta::app::print_model_docs(std::cout);
    return 0;
  }
  return regatta::app::run_program(regatta::app::Program::kEngine, argc, argv);
}
