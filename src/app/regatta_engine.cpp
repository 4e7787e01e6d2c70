// The program `regatta-engine`: whatever needs LibTorch.
#include <iostream>

#include "app/command.hpp"
#include "app/option_docs.hpp"
#include "regatta/nn/loss.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/nn/model.hpp"

namespace {

/// The part of docs/recipes.md that only the registries of nn know.
void print_option_docs() {
  using namespace regatta;
  std::cout << "\nNetworks, `/model/name`, with their options at default:\n\n| name | parameters | options | |\n| --- "
               "| --- | --- | --- |\n";
  for (const ModelRow& row : model_rows()) {
    const auto model = make_model(row.name, Json::object());
    std::cout << "| `" << row.name << "` | " << model->parameters().count() << " | `" << dump_line(model->options())
              << "` | " << row.help << " |\n";
  }
  std::cout << "\nLosses, keys of `/losses`:\n\n| name | options | |\n| --- | --- | --- |\n";
  for (const LossRow& row : loss_rows()) {
    std::cout << "| `" << row.name << "` | `" << dump_line(row.make(Json::object())->options()) << "` | " << row.help
              << " |\n";
  }
  std::cout << "\nMetrics, `/validation/metrics`:\n\n| name | better | labels | |\n| --- | --- | --- | --- |\n";
  for (const MetricRow& row : metric_rows()) {
    std::cout << "| `" << row.name << "` | " << (row.direction == Direction::kHigherIsBetter ? "higher" : "lower")
              << " | " << (row.needs_labels ? "needed" : "") << " | " << row.help << " |\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (regatta::app::asks_for_option_docs(argc, argv)) {
    print_option_docs();
    return 0;
  }
  return regatta::app::run_program(regatta::app::Program::kEngine, argc, argv);
}
