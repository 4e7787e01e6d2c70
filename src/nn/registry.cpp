// The tables of networks, losses and metrics. Each .def row declares the maker of its file and fills one row.
#include <string>
#include <vector>

#include "regatta/base/error.hpp"
#include "regatta/nn/loss.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/nn/model.hpp"

namespace regatta {

#define REGATTA_MODEL(file, name, help, paper)   \
  constexpr const char* paper_of_##file = paper; \
  std::unique_ptr<Model> make_##file(const std::string&, const Json&, const NetworkContext&);
#define REGATTA_SIZE(file, name, help)
namespace models {
#include "nn/models.def"
}  // namespace models
#undef REGATTA_MODEL
#undef REGATTA_SIZE

#define REGATTA_LOSS(name, help) std::unique_ptr<Loss> make_##name(const Json&);
namespace losses {
#include "nn/losses.def"
}  // namespace losses
#undef REGATTA_LOSS

#define REGATTA_METRIC(name, help, direction, needs) std::unique_ptr<Metric> make_##name();
namespace metrics {
#include "nn/metrics.def"
}  // namespace metrics
#undef REGATTA_METRIC

namespace {

/// @throws ConfigError for an unknown name, listing all
template <class Row>
const Row& find_row(const std::vector<Row>& rows, const std::string& name, const std::string& pointer,
                    const char* kind) {
  std::vector<std::string> have;
  for (const Row& row : rows) {
    if (row.name == name) {
      return row;
    }
    have.emplace_back(row.name);
  }
  throw ConfigError(str(pointer, ": unknown ", kind, " '", one_line(name, 60), "', have: ", join(have, ", ")));
}

}  // namespace

const std::vector<ModelRow>& model_rows() {
  static const std::vector<ModelRow> rows = {
#define REGATTA_MODEL(file, name, help, paper) {name, help, models::paper_of_##file, models::make_##file},
#define REGATTA_SIZE(file, name, help) REGATTA_MODEL(file, name, help, )
#include "nn/models.def"
#undef REGATTA_SIZE
#undef REGATTA_MODEL
  };
  return rows;
}

const std::vector<LossRow>& loss_rows() {
  static const std::vector<LossRow> rows = {
#define REGATTA_LOSS(name, help) {#name, help, losses::make_##name},
#include "nn/losses.def"
#undef REGATTA_LOSS
  };
  return rows;
}

const std::vector<MetricRow>& metric_rows() {
  static const std::vector<MetricRow> rows = {
#define REGATTA_METRIC(name, help, direction, needs) {#name, help, Direction::direction, needs, metrics::make_##name},
#include "nn/metrics.def"
#undef REGATTA_METRIC
  };
  return rows;
}

std::unique_ptr<Model> make_model(const std::string& name, const Json& options, const NetworkContext& context) {
  return find_row(model_rows(), name, "/model/name", "network").make(name, options, context);
}

std::unique_ptr<Loss> make_loss(const std::string& name, const Json& options) {
  return find_row(loss_rows(), name, "/losses", "loss").make(options);
}

const MetricRow& find_metric(const std::string& name) {
  return find_row(metric_rows(), name, "/validation/metrics", "metric");
}

}  // namespace regatta
