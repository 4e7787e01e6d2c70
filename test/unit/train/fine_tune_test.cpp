// Fine-tuning: a training that starts from given weights, and what is refused before it does.
#include <filesystem>

#include <ATen/ops/ones.h>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/weight_edit.hpp"
#include "regatta/train/checkpoint.hpp"
#include "regatta/train/registration.hpp"
#include "regatta/train/run_folder.hpp"
#include "regatta/train/weights_file.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using test::bytes_of;
using test::Recorder;
using test::scene_recipe;
using test::TemporaryFolder;
using test::train_in;
using test::write_scene;

/// A finished training of 6 steps, and a recipe that starts from its best weights.
struct Trained {
  Trained() : first(scene_recipe(write_scene(folder.path()))) {
    first.train.steps = 6;
    Recorder recorder;
    REQUIRE(train_in(folder / "first", first, recorder).status == AttemptStatus::kOk);
    result = result_from_json(read_json(folder / "first" / "result.json"), "result");
    weights = folder / "first" / "best.safetensors";
    tuned = first;
    tuned.model.init_from = weights.string();
    tuned.train.seed = 8;
  }

  TemporaryFolder folder;
  Recipe first;
  Recipe tuned;
  TrialResult result;
  fs::path weights;
};

std::string error_of(const Recipe& recipe) {
  RecipeResolver resolver;
  try {
    resolver.resolve(recipe);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("a fine-tuning begins where the given weights stand, resumes to the same bytes and says where from") {
  Trained trained;
  const TrainOutcome whole = train_in(trained.folder / "whole", trained.tuned);
  REQUIRE(whole.status == AttemptStatus::kOk);
  CHECK(whole.result->initial == trained.result.best);  // validation before the first step: the very same numbers
  CHECK(whole.result->init_from == trained.weights.string());
  CHECK(whole.result->init_from_xxh3 == trained.result.weights_xxh3);
  CHECK(result_from_json(to_json(*whole.result), "x").init_from_xxh3 == trained.result.weights_xxh3);
  const SafetensorsFile best = read_safetensors(trained.folder / "whole" / "best.safetensors");
  CHECK(best.metadata.at("init_from_xxh3") == trained.result.weights_xxh3);
  CHECK(best.metadata.at("recipe").find("\"init_from\":\"best.safetensors\"") != std::string::npos);

  Recorder leaving;
  leaving.leave = [&] { return !leaving.checkpoints.empty() && leaving.checkpoints.back().step >= 2; };
  REQUIRE(train_in(trained.folder / "parts", trained.tuned, leaving).status == AttemptStatus::kPaused);
  Recorder resumed;
  REQUIRE(train_in(trained.folder / "parts", trained.tuned, resumed).status == AttemptStatus::kOk);
  CHECK(resumed.start.step > 0);
  CHECK(bytes_of(trained.folder / "parts" / "best.safetensors") ==
        bytes_of(trained.folder / "whole" / "best.safetensors"));
}

TEST_CASE("the hash of a recipe follows the content of its weights, not their path; without any it is what it was") {
  Trained trained;
  RecipeResolver resolver;
  Recipe scratch = trained.tuned;
  scratch.model.init_from.clear();
  const ResolvedRecipe without = resolver.resolve(scratch);
  CHECK_FALSE(without.identity.at("model").contains("init_from"));
  const ResolvedRecipe with = resolver.resolve(trained.tuned);
  CHECK(with.hash != without.hash);
  Recipe moved = trained.tuned;
  moved.model.init_from = (trained.folder / "copy.safetensors").string();
  fs::copy_file(trained.weights, moved.model.init_from);
  CHECK(resolver.resolve(moved).hash == with.hash);
  SafetensorsFile changed = read_safetensors(trained.weights);
  changed.tensors[0].second.add_(0.5);
  moved.model.init_from = (trained.folder / "changed.safetensors").string();
  write_safetensors(moved.model.init_from, changed.tensors, changed.metadata);
  CHECK(resolver.resolve(moved).hash != with.hash);
}

TEST_CASE("weights that do not fit are listed in one error before a training starts") {
  Trained trained;
  SafetensorsFile file = read_safetensors(trained.weights);
  rename_prefix(file, "flow.", "head.");
  file.tensors[0].second = at::ones({4, 2, 5, 5, 5});
  trained.tuned.model.init_from = (trained.folder / "other.safetensors").string();
  write_safetensors(trained.tuned.model.init_from, file.tensors, {});
  const std::string message = error_of(trained.tuned);
  CHECK_THAT(message, Catch::StartsWith("/model/init_from: " + trained.tuned.model.init_from + ": '"));
  CHECK_THAT(message, Catch::Contains("is [4, 2, 5, 5, 5], expected [4, 2, 3, 3, 3]; "));
  CHECK_THAT(message, Catch::Contains("'flow.weight' is missing; 'flow.bias' is missing"));
  CHECK_THAT(message, Catch::Contains("'head.bias' is not a parameter of this network"));
  trained.tuned.model.init_from = (trained.folder / "none.safetensors").string();
  CHECK_THAT(error_of(trained.tuned), Catch::StartsWith("/model/init_from: "));
}

TEST_CASE("a checkpoint and another program's file with its buffers serve as a start") {
  Trained trained;
  Recipe recipe = trained.tuned;
  recipe.model.init_from = list_checkpoints({trained.folder / "first"}).at(0).path.string();
  CHECK(error_of(recipe).empty());
  SafetensorsFile file = read_safetensors(trained.weights);
  file.tensors.emplace_back("transformer.grid", at::ones({1, 3, 2, 2, 2}));
  convert_to_half(file);
  recipe.model.init_from = (trained.folder / "foreign.safetensors").string();
  write_safetensors(recipe.model.init_from, file.tensors, {});
  Recorder recorder;
  recipe.train.steps = 1;
  REQUIRE(train_in(trained.folder / "half", recipe, recorder).status == AttemptStatus::kOk);
  CHECK(recorder.validations.at(0).metrics.at("ncc") == Approx(trained.result.best.at("ncc")).epsilon(0.01));
}

TEST_CASE("weights of another form of the network than the recipe's are noted, foreign ones where they may be") {
  const TemporaryFolder folder;
  const fs::path archive = write_scene(folder.path());
  Recipe recipe = scene_recipe(archive);
  recipe.model.name = "voxelmorph-diff";
  recipe.model.options = Json::object();
  const auto model = make_model("voxelmorph-diff", Json::object());
  model->parameters().initialise(1);
  NamedTensors tensors;
  for (const Parameter& parameter : model->parameters().items()) {
    tensors.emplace_back(parameter.name, parameter.value.detach());
  }
  recipe.model.init_from = (folder / "w.safetensors").string();
  const auto notes = [&](const std::map<std::string, std::string>& metadata, bool reference) {
    write_safetensors(folder / "w.safetensors", tensors, metadata);
    recipe.model.options = Json{{"reference", reference}};
    RecipeResolver resolver;
    std::string text;
    for (const std::string& note : resolver.resolve(recipe).notes) {
      text += note + "\n";
    }
    return text;
  };
  CHECK_THAT(notes({}, false), Catch::Contains("/model/options/reference must be true"));
  CHECK_THAT(notes({}, true), !Catch::Contains("reference"));
  const auto published = network_metadata("voxelmorph-diff", Json{{"reference", true}});
  CHECK_THAT(notes(published, true), !Catch::Contains("reference"));
  CHECK_THAT(notes(published, false),
             Catch::Contains("trained with reference true, /model/options/reference is false"));
}

TEST_CASE("weights that changed between reading the recipe and starting are refused") {
  Trained trained;
  RecipeResolver resolver;
  TrainSetup setup;
  setup.files = {trained.folder / "run"};
  setup.resolved = settle_recipe(setup.files, trained.tuned, resolver, Existing::kContinue);
  setup.attempt = 1;
  SafetensorsFile changed = read_safetensors(trained.weights);
  changed.tensors[0].second.add_(0.5);
  write_safetensors(trained.weights, changed.tensors, changed.metadata);
  Recorder recorder;
  const Archive& archive = resolver.archive(trained.tuned.data.archive);
  CHECK_THROWS_WITH(Trainer(std::move(setup), recorder).run(archive), Catch::Contains("has changed since"));
}

TEST_CASE("a weights file that names its network alone is enough to register with") {
  Trained trained;
  SafetensorsFile file = read_safetensors(trained.weights);
  const Json recipe = parse_json(file.metadata.at("recipe"), "recipe");
  Json network = Json::object();
  network["schema"] = 1;
  network["model"]["name"] = recipe.at("model").at("name");
  network["model"]["options"] = recipe.at("model").at("options");
  file.metadata["recipe"] = dump_line(network);
  convert_to_half(file);
  write_safetensors(trained.folder / "w", file.tensors, file.metadata);
  const TrainedModel model = load_trained_model(trained.folder / "w");
  CHECK(model.converted == str(file.tensors.size(), " tensors from F16 to F32"));
  CHECK(model.weights_xxh3 == read_safetensors(trained.folder / "w").xxh3);
  file.metadata.erase("preprocessing");
  write_safetensors(trained.folder / "w", file.tensors, file.metadata);
  CHECK_THROWS_WITH(load_trained_model(trained.folder / "w"), Catch::Contains("convert edit --preprocess-from"));
}

}  // namespace
}  // namespace regatta
