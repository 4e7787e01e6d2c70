// `regatta register` of many pairs with one model: some are read and prepared and others written while one is in the
// network.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "app/registration_pair.hpp"

namespace regatta::app {

/// Registers them in order and writes `registrations.csv` at the end, a row for each pair. A pair is left out if its
/// record is there, of the same files, weights and settings, all its outputs are, and no file of it is newer. One that
/// fails is named, and the others go on.
/// @return how many failed
std::size_t register_pairs(TrainedModel& trained, const PairReader& reader, const std::vector<PairFiles>& pairs,
                           const RegisterSettings& settings, const std::filesystem::path& output);

}  // namespace regatta::app
