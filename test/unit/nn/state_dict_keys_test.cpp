// The names, shapes and types of the original programs' state dicts (test/golden/state_dict_keys), against our
// networks, both ways. How the buffers are made again is tested by test/interop/check_weights.py.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/weight_edit.hpp"
#include "regatta/nn/weights.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {
namespace {

namespace fs = std::filesystem;

fs::path list_folder() {
  return fs::path(REGATTA_SOURCE_DIR) / "test" / "golden" / "state_dict_keys";
}

/// One line "NAME 16x8x3x3x3 float32" for each entry.
SafetensorsFile read_list(const fs::path& path) {
  SafetensorsFile file;
  std::ifstream text(path);
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with('#')) {
      continue;
    }
    const std::vector<std::string> words = split(line, ' ');
    REQUIRE(words.size() == 3);
    std::vector<std::int64_t> shape;
    for (const std::string& size : split(words[1], 'x')) {
      shape.push_back(std::stoll(size));
    }
    REQUIRE((words[2] == "float32" || words[2] == "int64"));
    const auto type = words[2] == "float32" ? at::kFloat : at::kLong;
    file.tensors.emplace_back(words[0], at::empty(shape, at::TensorOptions().dtype(type).device(at::kMeta)));
  }
  return file;
}

/// VFA's names as they were until they became its authors'.
SafetensorsFile with_former_names(const Parameters& parameters) {
  const std::vector<std::pair<std::string, std::string>> former = {{".conv1.", ".0."}, {".norm1.", ".1."},
                                                                   {".conv2.", ".3."}, {".norm2.", ".4."},
                                                                   {".conv.", ".1."},  {".norm.", ".2."}};
  SafetensorsFile file;
  for (const Parameter& parameter : parameters.items()) {
    std::string name = parameter.name;
    for (const auto& [today, before] : former) {
      if (const std::size_t at = name.find(today); at != std::string::npos) {
        name.replace(at, today.size(), before);
        break;
      }
    }
    file.tensors.emplace_back(name, parameter.value.detach());
  }
  return file;
}

}  // namespace

TEST_CASE("each network has the names, shapes and types of its original, in its order, and loads its state dict") {
  if (!fs::exists(list_folder())) {
    REGATTA_SKIP("the source tree");
  }
  const Json networks = read_json(list_folder() / "networks.json");
  std::set<std::string> lists;
  for (const auto& entry : fs::directory_iterator(list_folder())) {
    if (entry.path().extension() == ".txt") {
      lists.insert(entry.path().stem().string());
    }
  }
  CHECK(lists.size() == 23);
  CHECK(networks.size() == lists.size());
  for (const std::string& list : lists) {
    INFO(list);
    REQUIRE(networks.contains(list));
    SafetensorsFile original = read_list(list_folder() / (list + ".txt"));
    drop_reference_buffers(original);
    const auto model =
        make_model(networks[list].at("model").get<std::string>(), networks[list].at("options"), {.without_data = true});
    const auto& parameters = model->parameters().items();
    std::vector<std::string> theirs;
    std::vector<std::string> ours;
    for (const auto& [name, tensor] : original.tensors) {
      theirs.push_back(name);
    }
    for (const Parameter& parameter : parameters) {
      ours.push_back(parameter.name);
    }
    if (list == "transmorph-lrn") {  // the learned position stands first there; ours must be drawn in its own place
      std::sort(ours.begin(), ours.end());
      std::sort(theirs.begin(), theirs.end());
    }
    CHECK(ours == theirs);
    CHECK_NOTHROW(check_parameters(model->parameters(), original, list));
    CHECK(use_current_names(original).empty());
  }
}

TEST_CASE("files and checkpoints with VFA's former names get its authors', moments included, and say so") {
  const auto model = make_model("vfa", {{"start_channels", 2}, {"matching_channels", 2}, {"max_channels", 4}});
  set_golden_weights(model->parameters());
  SafetensorsFile file = with_former_names(model->parameters());
  CHECK_THROWS_AS(check_parameters(model->parameters(), file, "old"), DataError);
  const std::size_t count = file.tensors.size();
  for (std::size_t i = 0; i < count; ++i) {
    file.tensors.emplace_back("optim/m/" + file.tensors[i].first, file.tensors[i].second);
  }
  CHECK(use_current_names(file) ==
        "176 tensors have names of an earlier version and get today's: 'encoder.encoder_conv.0.0.weight' becomes "
        "'encoder.encoder_conv.0.conv1.weight' and so on");
  for (std::size_t i = 0; i < count; ++i) {
    CHECK(file.tensors[i].first == model->parameters().items()[i].name);
    CHECK(file.tensors[count + i].first == "optim/m/" + model->parameters().items()[i].name);
  }
  CHECK(use_current_names(file).empty());
  drop_training_state(file);
  const auto other = make_model("vfa", model->options());
  load_parameters(other->parameters(), file, "old");
  CHECK(other->parameters().items()[3].value.equal(model->parameters().items()[3].value));
}

}  // namespace regatta::test
