#include "regatta/base/signals.hpp"

#include <array>
#include <csignal>
#include <cstring>

#include <unistd.h>

#include "regatta/base/text.hpp"

namespace regatta {
namespace {

volatile std::sig_atomic_t seen_signal = 0;
constexpr std::array<int, 3> kLeaveSignals = {SIGUSR2, SIGTERM, SIGINT};

extern "C" void note_signal(int number) {
  if (number == SIGINT && seen_signal == SIGINT) {
    ::_exit(128 + SIGINT);
  }
  seen_signal = number;
}

void install(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  for (const int number : kLeaveSignals) {
    ::sigaction(number, &action, nullptr);
  }
}

}  // namespace

void catch_leave_signals() {
  install(note_signal);
}

bool leave_requested() {
  return seen_signal != 0;
}

int leave_signal() {
  return seen_signal;
}

std::string leave_signal_text(int number) {
  const char* name = ::sigabbrev_np(number);
  const std::string text = name == nullptr ? str("signal ", number) : str("SIG", name);
  return number == SIGINT ? str(text, " (Ctrl-C; a second one ends at once, without saving)") : text;
}

void ignore_leave_signals() {
  install(SIG_IGN);
}

}  // namespace regatta
