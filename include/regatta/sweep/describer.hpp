// What only the models know about a recipe: resolved options, parameters, memory, metrics, data. The interface that
// planning asks, and the form that asks the program `regatta-engine describe`. Tests give their own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "regatta/config/json.hpp"

namespace regatta {

/// One recipe's answer. If `error` is not empty, only it and its code are set.
struct Description {
  std::string error;
  int error_code = 2;              ///< exit code that the error stands for: 2 the recipe, 3 the data
  Json resolved = Json::object();  ///< the whole recipe, plug-in options written out
  Json identity = Json::object();  ///< what defines the training
  std::string hash;                ///< of the identity; the trial's recipe hash
  std::int64_t parameters = 0;
  double mul_adds = 0.0;  ///< of one forward pass
  int size_multiple = 1;
  std::int64_t forecast_bytes = 0;             ///< peak device memory of a training, its volumes included
  std::int64_t least_bytes = 0;                ///< the same if volumes take turns there
  std::string backend;                         ///< that is priced: "fast, all 16 parts", "reference"
  std::int64_t steps = 0;                      ///< optimiser steps of the whole training
  std::int64_t steps_per_epoch = 0;            ///< 0: not told, see `epoch_steps`
  std::map<std::string, std::string> metrics;  ///< name -> "maximise" or "minimise"
  std::vector<std::string> notes;              ///< what a person should know of it: one line each
  Json data = Json::object();                  ///< fingerprint, shape, train_pairs, val_pairs, label_count
};

/// Steps per epoch; by the epochs of the resolved recipe if it is not told.
std::int64_t epoch_steps(const Description& description);

/// @throws DataError naming `source` if a member is missing or of another type
Description description_from_json(const Json& value, const std::string& source);
Json to_json(const Description& description);

class Describer {
 public:
  virtual ~Describer() = default;

  /// One answer per recipe, in order. A recipe that is refused gives an `error`, not an exception.
  /// @throws Error of the describing program's exit code if it fails as a whole
  virtual std::vector<Description> describe(const std::vector<Json>& recipes) = 0;
};

/// Runs "PROGRAM describe" once per call: {"recipes": [...]} on its stdin, {"recipes": [...]} on its stdout, its stderr
/// is ours. No shell. Call it before MPI_Init or from a process without MPI.
class ProgramDescriber : public Describer {
 public:
  explicit ProgramDescriber(std::filesystem::path program) : program_(std::move(program)) {}

  std::vector<Description> describe(const std::vector<Json>& recipes) override;

 private:
  std::filesystem::path program_;
};

}  // namespace regatta
