// Durations on the command line and in site profiles: one syntax for all, that of Slurm, and units besides.
#pragma once

#include <string>

namespace regatta {

/// What `duration_s` reads, for help and errors. A number alone is minutes where Slurm's users expect that.
inline constexpr const char* kDurationForms =
    "HH:MM:SS, MM:SS, D-HH, D-HH:MM or D-HH:MM:SS as in Slurm, or with units: 90s, 15min, 12h, 2d, 1h30min";

/// What a number without a unit means: minutes, as for sbatch, or nothing (too many programs take it for seconds).
enum class BareNumber { kMinutes, kRefused };

/// Seconds of a duration above 0 that a person wrote; what Slurm prints is read by `parse_duration`. @param what  names
/// it in an error: "--time"
/// @throws ConfigError listing the forms
double duration_s(const std::string& text, const std::string& what, BareNumber bare);

/// As Slurm writes it, rounded up to whole seconds: "00:01:30", "12:00:00", "2-12:00:00".
std::string clock_text(double seconds);

}  // namespace regatta
