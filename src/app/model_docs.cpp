#include "app/model_docs.hpp"

#include <cmath>
#include <iomanip>
#include <sstream>
#include <string>

#include "app/option_docs.hpp"
#include "app/size_option.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/train/model_table.hpp"

namespace regatta::app {
namespace {

std::string two_decimals(double value) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(2) << value;
  return text.str();
}

std::string giga(const Json& count) {
  return two_decimals(count.get<double>() / 1e9);
}

std::string gibi(const Json& bytes) {
  return two_decimals(bytes.get<double>() / std::pow(1024.0, 3));
}

std::string thousands(std::int64_t count) {
  std::string digits = str(count);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return digits;
}

void print_table(std::ostream& out, const Json& models) {
  out << "| network | parameters | mul-adds, G | as published, G | training, GiB | inference, GiB | sizes |\n"
         "| --- | --- | --- | --- | --- | --- | --- |\n";
  for (const Json& row : models) {
    const std::string name = row.at("name").get<std::string>();
    out << "| [`" << name << "`](#" << name << ") | " << thousands(row.at("parameters").get<std::int64_t>()) << " | ";
    if (row.contains("error")) {
      out << "| | | not this size | ";
    } else {
      out << giga(row.at("mul_adds")) << " | " << giga(row.at("mul_adds_published")) << " | "
          << gibi(row.at("training_bytes")) << " | " << gibi(row.at("inference_bytes")) << " | ";
    }
    out << "multiples of " << row.at("size_multiple").get<int>() << " |\n";
  }
}

void print_network(std::ostream& out, const ModelRow& row) {
  const auto model = make_model(row.name, Json::object(), {.without_data = true});
  out << "\n## " << row.name << "\n\n" << row.help << ".\n\nSource: " << row.source << ".\n\n";
  out << "```json\n\"model\": {\"name\": \"" << row.name << "\"";
  if (!model->options().empty()) {
    out << ", \"options\": " << dump_line(model->options());
  }
  out << "}\n```\n";
  if (!model->option_table().empty()) {
    out << '\n';
    print_option_table(out, model->option_table());
  }
}

}  // namespace

void print_model_docs(std::ostream& out) {
  const Json table = model_table(shape_from(kPublishedSize));
  out << "# Networks\n\n"
         "Written by `tools/dev/make_docs.sh` from the program; do not edit. `regatta plan --models --size DxHxW` "
         "tells "
         "the same for another size. Losses and metrics: [recipes.md](recipes.md). A network of your own: "
         "[adding.md](adding.md).\n\n"
         "At "
      << kPublishedSize
      << ", one pair. Mul-adds are all multiplications-and-additions of a forward pass, biases, norms and activations "
         "left out; \"as published\" counts as the tools behind published tables do: a linear layer once for all its "
         "tokens, a transposed convolution at its output's voxels, attention not at all. Training memory is the peak "
         "of "
         "a step with NCC (window 9) and squared differences of the field under Adam with AMSGrad, inference memory "
         "that "
         "of a forward pass; both without the workspaces of cuDNN, see [performance.md](performance.md).\n\n";
  print_table(out, table.at("models"));
  for (const ModelRow& row : model_rows()) {
    print_network(out, row);
  }
}

}  // namespace regatta::app
