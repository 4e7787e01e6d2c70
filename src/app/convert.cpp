// `regatta convert`: weights files listed; reduced, renamed, folded, halved, wrapped for `register`; or made. The edits
// are in nn/weight_edit, the metadata in train/weights_file.
#include <algorithm>
#include <filesystem>
#include <iostream>

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>

#include "app/command_group.hpp"
#include "regatta/base/log.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/published.hpp"
#include "regatta/nn/weight_edit.hpp"
#include "regatta/train/checkpoint.hpp"
#include "regatta/train/weights_file.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

constexpr NetworkContext kNamesAndShapes = {.without_data = true};
constexpr const char* kRecipe = "recipe";
constexpr const char* kHistory = "converted";  // metadata: what was done to the file, oldest first
constexpr std::size_t kLongestValue = 2000;    // of metadata in a listing, characters

struct Size {
  std::int64_t tensors = 0;
  std::int64_t values = 0;
};

Size size_of(const SafetensorsFile& file) {
  Size size;
  for (const auto& [name, tensor] : file.tensors) {
    ++size.tensors;
    size.values += tensor.numel();
  }
  return size;
}

std::string size_text(const SafetensorsFile& file) {
  const Size size = size_of(file);
  return str(size.tensors, " tensors, ", size.values, " values");
}

std::string metadata_of(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata.find(key);
  return found == file.metadata.end() ? "" : found->second;
}

/// "/model" of the recipe that a file of ours carries, else null. @param source  named in messages
Json recorded_model(const SafetensorsFile& file, const std::string& source) {
  const std::string text = metadata_of(file, kRecipe);
  if (text.empty() || metadata_of(file, kFormatKey) != kWeightsFormat) {
    return nullptr;
  }
  const Json recipe = parse_json(text, str(source, ": metadata 'recipe'"));
  const Json* model = find_pointer(recipe, "/model");
  return model == nullptr ? Json(nullptr) : *model;
}

void print_list(const SafetensorsFile& file) {
  std::size_t width = 4;
  for (const auto& [name, tensor] : file.tensors) {
    width = std::max(width, std::min<std::size_t>(one_line(name).size(), 80));
  }
  for (const auto& [name, tensor] : file.tensors) {
    std::string shown = one_line(name);
    shown.resize(std::max(shown.size(), width), ' ');
    std::string type = safetensors_type(tensor, name);
    type.resize(5, ' ');
    std::cout << shown << "  " << type << "[" << join(tensor.sizes(), ", ") << "]\n";
  }
  for (const auto& [key, value] : file.metadata) {
    std::cout << one_line(key) << ": " << one_line(value, kLongestValue) << '\n';
  }
  SafetensorsFile parameters = file;
  const std::int64_t state = drop_training_state(parameters);
  const auto buffers = static_cast<std::int64_t>(drop_reference_buffers(parameters).size());
  std::cout << size_text(file) << "; parameters: " << size_of(parameters).values << " in "
            << size_of(parameters).tensors << " tensors";
  if (state + buffers > 0) {
    std::cout << " (without " << state << " of training state and " << buffers << " buffers)";
  }
  std::cout << '\n';
}

/// Where the result goes.
struct Output {
  std::string path;
  bool force = false;

  void declare(Arguments& app) {
    app.add_option("-o,--output", path, "file to write")->required();
    app.add_flag("--force", force, "replace the output file if it exists");
  }

  void require_free() const {
    REGATTA_REQUIRE(force || !fs::exists(path), DataError, path, ": already exists; use --force to replace it");
  }

  void write(const SafetensorsFile& file) const {
    write_safetensors(path, file.tensors, file.metadata);
    std::cout << path << ": " << size_text(file) << '\n';
  }
};

/// How `regatta register` will prepare scans for the weights.
class Preparation {
 public:
  void declare(Arguments& app) {
    auto* const archive = app.add_option("--preprocess-from", archive_,
                                         "archive whose preprocessing `regatta register` will use with these weights");
    app.add_option("--preprocess", dataset_,
                   "data set file (dataset.json) whose `preprocess` it will use; no archive is needed")
        ->excludes(archive);
  }

  /// The archive or data set file; empty: none
  const std::string& given() const { return archive_.empty() ? dataset_ : archive_; }

  /// @param source  the file's name
  void apply(SafetensorsFile& file, const std::string& source, std::vector<std::string>& done) const {
    const bool packed = !archive_.empty();
    const auto metadata =
        packed ? data_metadata(Archive::open(archive_)) : data_metadata(read_stated_preprocess(dataset_));
    for (const auto& [key, value] : metadata) {
      file.metadata[key] = value;
    }
    require_multiples(file, source);
    done.push_back(str("scans will be prepared as in ", fs::path(packed ? archive_ : dataset_).filename().string()));
  }

 private:
  /// The prepared scans must fit the file's own network.
  void require_multiples(const SafetensorsFile& file, const std::string& source) const {
    const Json model = recorded_model(file, source);
    if (!model.is_object()) {
      return;
    }
    const std::string name = model.value("name", "");
    const int multiple = make_model(name, model.value("options", Json::object()), kNamesAndShapes)->size_multiple();
    const Json shape = parse_json(metadata_of(file, "shape"), "shape");
    for (const Json& size : shape) {
      REGATTA_REQUIRE(size.get<std::int64_t>() % multiple == 0, ConfigError, given(), ": shape ", dump_line(shape),
                      ", '", name, "' takes multiples of ", multiple);
    }
  }

  std::string archive_;
  std::string dataset_;
};

class ConvertList final : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("input", input_, "a .safetensors file: weights or a checkpoint, ours or another program's")
        ->required();
  }

  ExitCode run() override {
    print_list(read_safetensors(input_));
    return ExitCode::kOk;
  }

 private:
  std::string input_;
};

class ConvertNew final : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("network", network_, "`regatta plan --models` lists them")->required();
    app.add_option("--model-options", model_options_, "its options, as JSON")->capture_default_str();
    app.add_option("--seed", seed_, "of the weights, as /train/seed")->capture_default_str();
    preparation_.declare(app);
    output_.declare(app);
  }

  ExitCode run() override {
    output_.require_free();
    const auto model = make_model(network_, parse_json(model_options_, "--model-options"));
    model->parameters().initialise(seed_);
    SafetensorsFile file;
    for (const Parameter& parameter : model->parameters().items()) {
      file.tensors.emplace_back(parameter.name, parameter.value.detach());
    }
    file.metadata = network_metadata(network_, model->options());
    file.metadata["seed"] = str(seed_);
    if (!preparation_.given().empty()) {
      std::vector<std::string> done;
      preparation_.apply(file, output_.path, done);
      log_info(done.front());
    }
    output_.write(file);
    return ExitCode::kOk;
  }

 private:
  std::string network_;
  std::string model_options_ = "{}";
  std::uint64_t seed_ = 0;
  Preparation preparation_;
  Output output_;
};

class ConvertEdit final : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("input", input_, "a .safetensors file: weights or a checkpoint, ours or another program's")
        ->required();
    app.add_flag("--weights-only", weights_only_, "leave out the training state of a checkpoint");
    app.add_option("--drop", drops_, "leave out tensors whose names start with this; may be given several times")
        ->allow_extra_args(false);
    app.add_option("--rename", renames_, "FROM=TO: replace the prefix FROM with TO; may be given several times")
        ->allow_extra_args(false);
    app.add_flag("--fold", fold_, "merge the parallel kernels of LKU-Net's blocks: the same results, faster");
    Argument* half = app.add_flag("--half", half_, "float16: half the bytes, 3 decimal digits");
    app.add_flag("--float", float_, "float32")->excludes(half);
    app.add_option("--model", model_, "the network that the weights belong to: checked, then written into the file");
    app.add_option("--model-options", model_options_, "its options, as JSON")->capture_default_str();
    app.add_flag("--as-published", as_published_,
                 "with --model: the weights are the authors'; the network computes as their code does");
    preparation_.declare(app);
    output_.declare(app);
  }

  ExitCode run() override {
    REGATTA_REQUIRE(!model_.empty() || model_options_ == "{}", ConfigError,
                    "convert edit: --model-options without --model");
    REGATTA_REQUIRE(!model_.empty() || !as_published_, ConfigError, "convert edit: --as-published without --model");
    SafetensorsFile file = read_safetensors(input_);
    output_.require_free();
    change(file);
    output_.write(file);
    return ExitCode::kOk;
  }

 private:
  /// Everything requested, in the order in which the help lists it.
  void change(SafetensorsFile& file) const {
    std::vector<std::string> done;
    if (!metadata_of(file, kFormatKey).empty() || !model_.empty()) {
      if (std::string renamed = use_current_names(file); !renamed.empty()) {
        done.push_back(std::move(renamed));
      }
    }
    if (metadata_of(file, kFormatKey) == kCheckpointFormat) {
      REGATTA_REQUIRE(weights_only_, ConfigError, input_,
                      ": is a checkpoint, which only its training can read; --weights-only makes weights of it");
    }
    if (weights_only_) {
      keep_weights(file, done);
    }
    for (const std::string& prefix : drops_) {
      const std::int64_t count = drop_prefix(file, prefix);
      REGATTA_REQUIRE(count > 0, ConfigError, "--drop: no tensor's name starts with '", one_line(prefix, 80), "'");
      done.push_back(str("dropped ", count, " tensors '", prefix, "...'"));
    }
    for (const std::string& text : renames_) {
      rename(file, text, done);
    }
    if (fold_) {
      fold(file, done);
    }
    if (half_ || float_) {
      const std::int64_t count = half_ ? convert_to_half(file) : convert_to_float(file);
      done.push_back(str(count, " tensors to ", half_ ? "F16" : "F32"));
    }
    if (!model_.empty()) {
      set_network(file, done);
    }
    if (!preparation_.given().empty()) {
      preparation_.apply(file, input_, done);
    }
    for (const std::string& text : done) {
      log_info(text);
    }
    note_history(file, done);
    check_against_recipe(file);
  }

  static void keep_weights(SafetensorsFile& file, std::vector<std::string>& done) {
    const std::int64_t count = drop_training_state(file);
    done.push_back(str("left out ", count, " tensors of training state"));
    if (metadata_of(file, kFormatKey) == kCheckpointFormat) {
      file.metadata[kFormatKey] = kWeightsFormat;
    }
  }

  static void rename(SafetensorsFile& file, const std::string& text, std::vector<std::string>& done) {
    const std::size_t equal = text.find('=');
    REGATTA_REQUIRE(equal != std::string::npos, ConfigError, "--rename: expected FROM=TO, got '", one_line(text, 80),
                    "'");
    const std::string from = text.substr(0, equal);
    const std::int64_t count = rename_prefix(file, from, text.substr(equal + 1));
    REGATTA_REQUIRE(count > 0, ConfigError, "--rename: no tensor's name starts with '", one_line(from, 80), "'");
    done.push_back(str("renamed ", count, " tensors, '", from, "...' to '", text.substr(equal + 1), "...'"));
  }

  void fold(SafetensorsFile& file, std::vector<std::string>& done) const {
    const std::int64_t blocks = fold_large_kernels(file);
    REGATTA_REQUIRE(blocks > 0, ConfigError, "--fold: no large-kernel blocks (NAME.layer_regularKernel.0.weight) in ",
                    input_);
    done.push_back(str("folded the kernels of ", blocks, " blocks"));
    if (const std::string text = metadata_of(file, kRecipe); !text.empty()) {
      Json recipe = parse_json(text, str(input_, ": metadata 'recipe'"));
      REGATTA_REQUIRE(find_pointer(recipe, "/model") != nullptr && recipe["model"].is_object(), DataError, input_,
                      ": the recipe names no network");
      recipe["model"]["options"]["folded"] = true;
      file.metadata[kRecipe] = dump_line(recipe);
    }
  }

  /// Weights of another program become weights of the named network, if they fit it.
  void set_network(SafetensorsFile& file, std::vector<std::string>& done) const {
    const auto dropped = drop_reference_buffers(file);
    if (!dropped.empty()) {
      done.push_back(
          str("left out ", dropped.size(), " buffers, which are known from the sizes: ", join(dropped, ", ")));
    }
    const bool recorded = is_recorded(file);
    const auto model = make_model(model_, options_of(file), kNamesAndShapes);
    check_parameters(model->parameters(), file, str(input_, ": as '", model_, "'"));
    if (!recorded) {
      require_told(*model);
    }
    for (const auto& [key, value] : network_metadata(model_, model->options())) {
      file.metadata[key] = value;
    }
    done.push_back(str("fits '", model_, "' with options ", dump_line(model->options())));
    if (const PublishedForm* form = published_form(model_);
        form != nullptr && model->options().at(form->option) == true) {
      done.push_back(str("computes as published: ", form->effect));
    }
    if (preparation_.given().empty() && metadata_of(file, "preprocessing").empty()) {
      log_warning(
          "without --preprocess or --preprocess-from the file serves /model/init_from, but `regatta register` cannot "
          "prepare scans for it");
    }
  }

  /// A file of ours that was made for this network says how it computes.
  bool is_recorded(const SafetensorsFile& file) const {
    const Json own = recorded_model(file, input_);
    return own.is_object() && own.value("name", "") == model_;
  }

  /// Those given; what is not given as the file's own recipe says, where it is of this network.
  Json options_of(const SafetensorsFile& file) const {
    Json options = given_options();
    const PublishedForm* form = published_form(model_);
    if (as_published_ && form != nullptr) {
      REGATTA_REQUIRE(!options.contains(form->option) || options[form->option] == true, ConfigError,
                      "convert edit: --as-published beside --model-options with ", form->option, " false: which?");
      options[form->option] = true;
    }
    if (is_recorded(file)) {
      const Json recorded = recorded_model(file, input_).value("options", Json::object());
      for (const auto& item : recorded.items()) {
        if (!options.contains(item.key())) {
          options[item.key()] = item.value();
        }
      }
    }
    return options;
  }

  Json given_options() const {
    Json options = parse_json(model_options_, "--model-options");
    require_object(options, "--model-options");
    return options;
  }

  /// What neither names nor shapes of another program's weights tell must have been said.
  void require_told(const Model& model) const {
    const Json given = given_options();
    const PublishedForm* form = published_form(model_);
    REGATTA_REQUIRE(form == nullptr || as_published_ || given.contains(form->option), ConfigError, input_,
                    ": another program's weights, and names and shapes do not tell which form of '", model_,
                    "' they were trained as; the wrong one gives a wrong field. Give --as-published for their authors' "
                    "program (it ",
                    form->effect, "), or --model-options '{\"", form->option, "\": false}' for one that does not");
    for (const std::string& option : untold_options(model_)) {
      if (!given.contains(option)) {
        log_warning("names and shapes do not tell the option '", option, "' of '", model_, "': taken as ",
                    dump_line(model.options().at(option)), "; --model-options says otherwise");
      }
    }
  }

  void note_history(SafetensorsFile& file, const std::vector<std::string>& done) const {
    if (done.empty()) {
      return;
    }
    Json history = Json::array();
    if (const std::string before = metadata_of(file, kHistory); !before.empty()) {
      history = parse_json(before, str(input_, ": metadata '", kHistory, "'"));
    }
    Json step;
    step["from"] = fs::path(input_).filename().string();
    step["from_xxh3"] = file.xxh3;
    step["done"] = done;
    history.push_back(step);
    file.metadata[kHistory] = dump_line(history);
  }

  /// A file that its own recipe's network cannot load any more is written all the same: other programs may want it.
  void check_against_recipe(const SafetensorsFile& file) const {
    const std::string text = metadata_of(file, kRecipe);
    if (text.empty() || metadata_of(file, kFormatKey) != kWeightsFormat) {
      return;
    }
    try {
      const Json recipe = parse_json(text, str(input_, ": metadata 'recipe'"));
      const Json* name = find_pointer(recipe, "/model/name");
      const Json* options = find_pointer(recipe, "/model/options");
      REGATTA_REQUIRE(name != nullptr && name->is_string() && options != nullptr, DataError,
                      "the recipe names no network");
      const auto model = make_model(name->get<std::string>(), *options, kNamesAndShapes);
      check_parameters(model->parameters(), file, output_.path);
    } catch (const Error& error) {
      log_warning("the network of the file's own recipe cannot load it as it is now: ", error.what());
    }
  }

  std::string input_;
  bool weights_only_ = false;
  bool fold_ = false;
  bool half_ = false;
  bool float_ = false;
  std::vector<std::string> drops_;
  std::vector<std::string> renames_;
  std::string model_;
  std::string model_options_ = "{}";
  bool as_published_ = false;
  Preparation preparation_;
  Output output_;
};

}  // namespace

std::unique_ptr<Command> make_convert() {
  auto group = std::make_unique<CommandGroup>();
  group->add("list", "names, types, shapes, metadata and the number of parameters", std::make_unique<ConvertList>());
  group->add("edit", "rename, merge kernels, halve, import from another program", std::make_unique<ConvertEdit>());
  group->add("new", "initial weights of a network, as a training draws them", std::make_unique<ConvertNew>());
  return group;
}

}  // namespace regatta::app
