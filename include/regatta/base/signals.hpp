// Signals that ask a process to save and leave. The handler only sets a flag; loops look at it between steps.
#pragma once

#include <string>

namespace regatta {

/// SIGUSR2 (Slurm's warning before a time limit), SIGTERM (pre-emption, scancel) and SIGINT (Ctrl-C) set the flag.
/// A second SIGINT ends the process at once with code 130.
void catch_leave_signals();

/// True once one of them has come.
bool leave_requested();

/// The signal's number, 0 if none came.
int leave_signal();

/// For people: "SIGTERM", "SIGINT (Ctrl-C; a second one ends at once, without saving)".
std::string leave_signal_text(int number);

/// Ignores SIGUSR2, SIGTERM and SIGINT: for children whose supervisor decides when they save.
void ignore_leave_signals();

}  // namespace regatta
