#include "regatta/base/progress.hpp"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "regatta/base/log.hpp"
#include "regatta/base/text.hpp"

namespace regatta {
namespace {

constexpr double kRedrawEvery = 0.1;
constexpr double kShortest_s = 0.5;  ///< no rate is told before: "1501154.8/s" of three files says nothing
constexpr double kLater_s = 30.0;
constexpr double kPart = 0.1;  ///< of the time so far: between lines of a log
constexpr int kBarWidth = 24;

std::string bar(std::int64_t done, std::int64_t total) {
  const auto filled =
      static_cast<int>(kBarWidth * std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0));
  return str('[', std::string(static_cast<std::size_t>(filled), '#'),
             std::string(static_cast<std::size_t>(kBarWidth - filled), '.'), "] ");
}

void write_stderr(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

ProgressOptions ProgressOptions::for_stderr() {
  ProgressOptions options = for_stderr(ProgressOptions().every_s);
  options.later_every_s = kLater_s;
  return options;
}

ProgressOptions ProgressOptions::for_stderr(double every_s) {
  ProgressOptions options;
  options.every_s = every_s;
  options.later_every_s = every_s;
  options.terminal = ::isatty(STDERR_FILENO) == 1;
  return options;
}

Progress::Progress(std::string label, std::int64_t total, ProgressOptions options, std::int64_t done)
    : label_(std::move(label)),
      total_(std::max<std::int64_t>(1, total)),
      options_(std::move(options)),
      first_(done),
      done_(done) {
  if (options_.clock == nullptr) {
    options_.clock = &system_clock();
  }
  if (!options_.write) {
    options_.write = options_.terminal ? write_stderr : [](std::string_view text) { log_line(LogLevel::kInfo, text); };
  }
  start_s_ = options_.clock->monotonic_s();
  shown_s_ = start_s_;
}

void Progress::update(std::int64_t done, std::string_view extra) {
  done_ = done;
  const double now_s = options_.clock->monotonic_s();
  const double in_log_s =
      std::clamp(kPart * (now_s - start_s_), options_.every_s, std::max(options_.every_s, options_.later_every_s));
  if (now_s - shown_s_ >= (options_.terminal ? kRedrawEvery : in_log_s)) {
    show(done, extra, false);
  }
}

void Progress::finish(std::string_view extra) {
  show(done_, extra, true);
}

void Progress::show(std::int64_t done, std::string_view extra, bool last) {
  shown_s_ = options_.clock->monotonic_s();
  const double elapsed = shown_s_ - start_s_;
  const double rate = elapsed >= kShortest_s ? static_cast<double>(done - first_) / elapsed : 0.0;
  const std::string text = progress_text(label_, done, total_, rate, extra);
  if (!options_.terminal) {
    options_.write(text);
    return;
  }
  // Carriage return, text, erase to the end of the line.
  options_.write(str('\r', bar(done, total_), text, "\x1b[K", last ? "\n" : ""));
}

std::string progress_text(std::string_view label, std::int64_t done, std::int64_t total, double rate,
                          std::string_view extra) {
  std::string text = str(label, ' ', done, '/', total, " (", 100 * done / std::max<std::int64_t>(1, total), "%)");
  if (rate > 0.0) {
    text += rate >= 1.0 ? fmt::format(", {:.{}f}/s", rate, rate < 100.0 ? 1 : 0)
                        : fmt::format(", {:.1f} s each", 1.0 / rate);
    if (done < total) {
      text += str(", ", duration_text(static_cast<double>(total - done) / rate), " left");
    }
  }
  if (!extra.empty()) {
    text += str(", ", extra);
  }
  return text;
}

}  // namespace regatta
