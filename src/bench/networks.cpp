#include "regatta/bench/networks.hpp"

#include <iostream>

#include <nlohmann/json.hpp>

#include "bench/report.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/train/step_benchmark.hpp"

namespace regatta::bench {
namespace {

std::vector<std::string> names_from(const std::string& text) {
  if (text != "all") {
    return split(text, ',');
  }
  std::vector<std::string> names;
  for (const ModelRow& row : model_rows()) {
    names.emplace_back(row.name);
  }
  return names;
}

/// Measured and forecast bytes, and measured over forecast where both are known.
Json memory_to_json(std::int64_t measured, std::int64_t forecast) {
  Json memory;
  memory["forecast_bytes"] = forecast;
  if (measured > 0) {
    memory["measured_bytes"] = measured;
    memory["forecast_over_measured"] = static_cast<double>(forecast) / static_cast<double>(measured);
  }
  return memory;
}

Json network_times_to_json(const NetworkTimes& times) {
  Json row;
  row["parameters"] = times.parameters;
  row["inference_ms"] = spread_of(times.inference_ms);
  row["inference_captured"] = times.inference_captured;
  row["uncaptured_inference_ms"] = spread_of(times.uncaptured_inference_ms);
  row["inference_memory"] = memory_to_json(times.measured.inference, times.forecast.inference);
  row["host_bytes_before"] = times.host_bytes_before;
  row["host_bytes_peak"] = times.host_bytes_peak;
  row["largest_displacement"] = times.flow_max;
  if (!times.step_ms.empty()) {
    row["forward_ms"] = spread_of(times.forward_ms);
    row["step_ms"] = spread_of(times.step_ms);
    row["training_memory"] = memory_to_json(times.measured.training, times.forecast.training);
    row["loss"] = times.loss;
    row["gradient_norm"] = times.gradient_norm;
    row["parameters_without_gradient"] = times.without_gradient;
    row["parts"] = forms_json(times.parts);
    row["mean_field"] = times.mean_field;
  }
  return row;
}

std::string memory_text(std::int64_t measured, std::int64_t forecast) {
  const std::string text = str("forecast ", bytes_text(static_cast<double>(forecast)));
  return measured > 0 ? str(bytes_text(static_cast<double>(measured)), " (", text, ")") : text;
}

void print_times(const std::string& name, const NetworkTimes& times) {
  std::cout << "  " << name << ": " << times.parameters << " parameters, inference " << median(times.inference_ms)
            << " ms"
            << (times.inference_captured ? str(" (", median(times.uncaptured_inference_ms), " uncaptured)") : "")
            << ", " << memory_text(times.measured.inference, times.forecast.inference) << ", host up to "
            << bytes_text(static_cast<double>(times.host_bytes_peak));
  if (!times.step_ms.empty()) {
    std::cout << "; step " << median(times.step_ms) << " ms (of it forward " << median(times.forward_ms) << "), "
              << memory_text(times.measured.training, times.forecast.training) << ", loss " << times.loss
              << ", gradient " << times.gradient_norm << "; " << times.forms;
  }
  std::cout << std::endl;
}

/// Measures and prints one network by one backend.
Json row_of(const NetworkBenchmarkOptions& options) {
  const std::string name = str(options.model, ", ", options.run.backend);
  Json row;
  try {
    const NetworkTimes times = benchmark_network(options);
    print_times(name, times);
    row = network_times_to_json(times);
  } catch (const Error& error) {
    row["error"] = error.what();
    std::cout << "  " << name << ": " << error.what() << std::endl;
  }
  row["model"] = options.model;
  row["backend"] = options.run.backend;
  return row;
}

}  // namespace

Json measure_networks(const std::string& names, const std::vector<std::string>& backends,
                      const NetworkBenchmarkOptions& options) {
  const std::vector<std::string> chosen = names_from(names);
  const bool has_files = !options.weights.empty() || !options.save_weights.empty() || !options.save_flow.empty();
  REGATTA_REQUIRE(chosen.size() == 1 || !has_files, ConfigError,
                  "--weights, --save-weights and --save-flow: one network only, got ", chosen.size());
  for (const std::string& name : chosen) {
    make_model(name, Json::object(), {.without_data = true});  // a wrong name is reported before anything is measured
  }
  Json report = head_of_report("networks", options.shape, options.run);
  report["warmup"] = options.warmup;
  report["steps"] = options.steps;
  report["rows"] = Json::array();
  std::cout << "networks at " << join(options.shape, "x") << " on " << report["device"].get<std::string>() << '\n';
  for (const std::string& name : chosen) {
    for (const std::string& backend : backends) {
      NetworkBenchmarkOptions one = options;
      one.model = name;
      one.run.backend = backend;
      report["rows"].push_back(row_of(one));
      release_cached(choose_device(options.run.device));
    }
  }
  return report;
}

}  // namespace regatta::bench
