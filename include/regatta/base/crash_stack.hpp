// A stack in the log of a process that dies by a signal of its own or is told to by SIGABRT (a watchdog).
#pragma once

namespace regatta {

/// SIGABRT, SIGSEGV, SIGBUS, SIGFPE and SIGILL write the signal and the stack of the thread they hit to stderr; then
/// the process ends by that signal as before. Names of functions are those that the program exports.
void install_crash_stack();

}  // namespace regatta
