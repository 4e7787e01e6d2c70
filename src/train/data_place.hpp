// Whether a device holds the whole data set or volumes take turns on it.
#pragma once

#include <cstdint>

#include <c10/core/Device.h>

#include "regatta/train/resolve.hpp"

namespace regatta {

/// With which a training can do whose volumes take turns.
std::int64_t least_subjects(int batch);

/// How many subjects the device is to hold, by its free memory now and the network's forecast. 0: all of them.
std::int64_t subjects_to_hold(const ResolvedRecipe& resolved, const c10::Device& device);

/// The same, from figures. @param room  bytes that the network leaves free @param wanted  "auto", ... of /run/data
std::int64_t subjects_to_hold(const DataFacts& data, const std::string& wanted, int batch, std::int64_t room);

}  // namespace regatta
