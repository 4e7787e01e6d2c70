#include "bench/report.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "regatta/base/clock.hpp"
#include "regatta/base/text.hpp"
#include "regatta/base/version.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/train/step_benchmark.hpp"

namespace regatta::bench {

Json head_of_report(const std::string& benchmark, const Shape3& shape, const RunOptions& run) {
  Json report;
  report["schema"] = 1;
  report["benchmark"] = benchmark;
  report["build"] = build_id();
  report["torch"] = torch_version_text();
  report["device"] = device_name(choose_device(run.device));
  report["host_threads"] = run.threads;
  report["when"] = system_clock().utc_text();
  report["size"] = join(shape, "x");
  report["tf32"] = run.tf32;
  report["channels_last"] = run.channels_last;
  return report;
}

Json spread_of(const std::vector<double>& values) {
  return {{"median", median(values)},
          {"min", *std::min_element(values.begin(), values.end())},
          {"max", *std::max_element(values.begin(), values.end())}};
}

}  // namespace regatta::bench
