#include "regatta/base/crash_stack.hpp"

#include <array>
#include <csignal>
#include <cstring>

#include <execinfo.h>
#include <unistd.h>

namespace regatta {
namespace {

constexpr std::array<int, 5> kCrashSignals = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
constexpr int kMostFrames = 64;

void write_text(const char* text) {
  if (::write(STDERR_FILENO, text, std::strlen(text)) < 0) {
    return;  // nobody to tell
  }
}

/// Only what is safe in a handler: the action was reset when it ran, so raising again ends the process.
extern "C" void write_stack(int signal) {
  std::array<void*, kMostFrames> frames{};
  write_text("SIG");
  const char* name = ::sigabbrev_np(signal);
  write_text(name == nullptr ? "?" : name);
  write_text(", stack of the thread that it hit:\n");
  ::backtrace_symbols_fd(frames.data(), ::backtrace(frames.data(), kMostFrames), STDERR_FILENO);
  ::raise(signal);
}

}  // namespace

void install_crash_stack() {
  void* frame = nullptr;
  ::backtrace(&frame, 1);  // loads what the first call loads, which a handler must not do
  struct sigaction action {};
  action.sa_handler = write_stack;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
  ::sigemptyset(&action.sa_mask);
  for (const int signal : kCrashSignals) {
    ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace regatta
