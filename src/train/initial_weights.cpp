#include "train/initial_weights.hpp"

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "regatta/config/json.hpp"
#include "regatta/nn/published.hpp"
#include "regatta/nn/weight_edit.hpp"
#include "regatta/train/checkpoint.hpp"

namespace regatta {

std::string initial_weights_source(const std::string& path) {
  return str("/model/init_from: ", path);
}

SafetensorsFile read_initial_weights(const std::string& path) {
  try {
    SafetensorsFile file = read_safetensors(path);
    drop_training_state(file);
    drop_reference_buffers(file);
    if (const std::string renamed = use_current_names(file); !renamed.empty()) {
      log_info(path, ": ", renamed);
    }
    return file;
  } catch (const DataError& error) {
    throw DataError(str("/model/init_from: ", error.what()));
  }
}

std::string form_note(const SafetensorsFile& file, const ModelChoice& model) {
  const PublishedForm* form = published_form(model.name);
  if (form == nullptr) {
    return "";
  }
  const bool chosen = model.options.at(form->option).get<bool>();
  const auto recipe = file.metadata.find("recipe");
  if (recipe == file.metadata.end() || !file.metadata.contains(kFormatKey)) {
    return chosen ? ""
                  : str(initial_weights_source(model.init_from), ": another program's weights; where they are the ",
                        "authors' own, /model/options/", form->option, " must be true: their program ", form->effect);
  }
  const Json value = parse_json(recipe->second, str(model.init_from, ": metadata 'recipe'"));
  const Json* trained = find_pointer(value, str("/model/options/", form->option));
  if (trained == nullptr || *trained == chosen) {
    return "";
  }
  return str(initial_weights_source(model.init_from), ": trained with ", form->option, " ", !chosen,
             ", /model/options/", form->option, " is ", chosen,
             ": the first field is another than that of these weights");
}

}  // namespace regatta
