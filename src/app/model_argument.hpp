// `--model` of the commands that use trained weights: a file, a training's folder, a sweep's folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/arguments.hpp"
#include "regatta/train/registration.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta::app {

/// Declares `--model`, which may be given several times.
Argument* add_model_option(Arguments& app, std::vector<std::string>& models);

/// The weights file that each names: the file itself, best.safetensors of a training, the winner's of a sweep.
/// @throws DataError for a sweep without best weights
std::vector<std::filesystem::path> weights_of(const std::vector<std::string>& models);

/// Warns of an archive that was packed otherwise than the training's: the network sees what it was not trained on.
void warn_of_preprocessing(const TrainedModel& trained, const Archive& archive);

}  // namespace regatta::app
