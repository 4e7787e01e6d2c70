// Every file in a plug-in folder has a row in its table, and every row a file.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include <nlohmann/json.hpp>

#include "regatta/nn/loss.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/nn/model.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

namespace fs = std::filesystem;

fs::path source_folder() {
  return fs::path(REGATTA_SOURCE_DIR) / "src" / "nn";
}

std::set<std::string> files_of(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(source_folder() / folder)) {
    if (entry.path().extension() == ".cpp") {
      names.insert(entry.path().stem().string());
    }
  }
  return names;
}

/// First arguments of the rows in a .def file: the names of their sources.
std::set<std::string> rows_of(const std::string& table) {
  std::ifstream file(source_folder() / table);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::regex row("\nREGATTA_[A-Z]+\\((\\w+),");
  std::set<std::string> names;
  for (auto match = std::sregex_iterator(text.begin(), text.end(), row); match != std::sregex_iterator(); ++match) {
    names.insert((*match)[1]);
  }
  return names;
}

template <class Row>
void check_rows(const std::vector<Row>& rows) {
  std::set<std::string> names;
  for (const Row& row : rows) {
    INFO(row.name);
    CHECK(names.insert(row.name).second);
    CHECK(std::string(row.help).size() > 20);
  }
}

}  // namespace

TEST_CASE("registry_complete: each model, loss and metric file has a row and each row a file") {
  if (!fs::exists(source_folder())) {
    REGATTA_SKIP("the source tree");
  }
  CHECK(files_of("models") == rows_of("models.def"));
  CHECK(files_of("losses") == rows_of("losses.def"));
  CHECK(files_of("metrics") == rows_of("metrics.def"));
}

TEST_CASE("each row makes its thing, with a unique name and a help text") {
  check_rows(model_rows());
  check_rows(loss_rows());
  check_rows(metric_rows());
  for (const ModelRow& row : model_rows()) {
    INFO(row.name);
    CHECK(std::regex_search(row.source, std::regex(": .+, 20\\d\\d$")));  // authors: title. venue, year
  }
  for (const LossRow& row : loss_rows()) {
    CHECK(row.make(Json::object()) != nullptr);
  }
  for (const MetricRow& row : metric_rows()) {
    CHECK(row.make() != nullptr);
  }
}

TEST_CASE("the documented options of each loss and network are those that it takes, with their defaults") {
  const auto check = [](const Json& taken, const std::vector<OptionRow>& table) {
    Json documented = Json::object();
    for (const OptionRow& row : table) {
      CHECK(std::string(row.help).size() > 5);
      documented[row.pointer.substr(1)] = parse_json(row.default_text, row.pointer);
    }
    CHECK(documented == taken);
  };
  for (const LossRow& row : loss_rows()) {
    INFO(row.name);
    const auto loss = row.make(Json::object());
    check(loss->options(), loss->option_table());
  }
  for (const ModelRow& row : model_rows()) {
    INFO(row.name);
    const auto model = make_model(row.name, Json::object(), {.without_data = true});
    check(model->options(), model->option_table());
  }
}

}  // namespace regatta::test
