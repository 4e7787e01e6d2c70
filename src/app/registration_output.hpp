// What `regatta register` writes and prints of one pair of scans.
#pragma once

#include "app/registration_pair.hpp"
#include "regatta/config/json.hpp"
#include "regatta/train/registration.hpp"

namespace regatta::app {

inline constexpr const char* kRegistrationRecord = "registration.json";

/// The files of a pair, as the record names them: compared before a pair is left out as done.
Json identity_of_inputs(const PairFiles& files);

/// Writes all files of a pair, the record last: where it is, all of them are. @return the record
/// @throws DataError if the disk refuses
Json write_pair(const TrainedModel& trained, const PairFiles& files, const LoadedPair& loaded,
                const RegisterSettings& settings, const Registration& found);

/// What a user of one pair wants to know, of its record.
void print_pair(const Json& record, const PairFiles& files, double seconds);

}  // namespace regatta::app
