#include "app/register_many.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <exception>
#include <future>
#include <iostream>
#include <memory>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>

#include "app/registration_output.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/progress.hpp"
#include "regatta/base/text_table.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTable = "registrations.csv";
constexpr std::size_t kPrintedPairs = 30;

/// Whether all that the record names is there, and no input has changed since.
bool is_current(const Json& record, const PairFiles& files) {
  std::error_code error;
  for (const auto& [key, name] : record.at("outputs").items()) {
    if (!fs::exists(files.output / name.get<std::string>(), error)) {
      return false;
    }
  }
  if (files.archived) {
    return true;  // the archive's fingerprint is among the settings
  }
  const auto made = fs::last_write_time(files.output / kRegistrationRecord, error);
  const std::vector<std::string> inputs = files_of(files);
  return std::all_of(inputs.begin(), inputs.end(), [&](const std::string& input) {
    const auto changed = fs::last_write_time(input, error);
    return !error && changed <= made;
  });
}

/// Of a pair that was done before with the same files, weights and settings; null else.
Json finished_record(const PairFiles& files, const RegisterSettings& settings, const TrainedModel& trained) {
  const fs::path path = files.output / kRegistrationRecord;
  std::error_code error;
  if (!fs::exists(path, error)) {
    return nullptr;
  }
  try {
    Json record = parse_json(read_file(path), path.string());
    const bool same = record.value("model_xxh3", "") == trained.weights_xxh3 &&
                      record.value("inputs", Json()) == identity_of_inputs(files) &&
                      record.value("settings", Json()) == identity_of_settings(settings) && is_current(record, files);
    return same ? record : Json();
  } catch (const std::exception&) {
    return nullptr;  // damaged: done again
  }
}

/// A pair on its way through the three stages.
struct PairWork {
  LoadedPair loaded;
  Registration found;
  double start_s = 0.0;
};

struct PairResult {
  std::string status;  ///< done, kept (from before) or failed
  std::string reason;
  double seconds = 0.0;  ///< from its reading to its last file; 0: not registered in this call
  Json record;
};

/// Names of the metrics in any of the records, in order.
std::vector<std::string> metric_names(const std::vector<PairResult>& results) {
  std::set<std::string> names;
  for (const PairResult& result : results) {
    const Json metrics = result.record.is_object() ? result.record.value("metrics", Json::object()) : Json::object();
    for (const auto& [name, value] : metrics.items()) {
      names.insert(name);
    }
  }
  return {names.begin(), names.end()};
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) {
    return text;
  }
  std::string out = "\"";
  for (const char c : text) {
    out += c == '"' ? "\"\"" : std::string(1, c);
  }
  return out + "\"";
}

double metric_value(const PairResult& result, const std::string& metric, const char* when) {
  return number_from_json(result.record.at("metrics").at(metric).at(when), metric);
}

std::string metric_cell(const PairResult& result, const std::string& metric, const char* when) {
  const bool has = result.record.value("metrics", Json::object()).contains(metric);
  return has ? to_text(metric_value(result, metric, when)) : "";
}

void write_table(const std::vector<PairFiles>& pairs, const std::vector<PairResult>& results, const fs::path& path) {
  const std::vector<std::string> metrics = metric_names(results);
  std::string out = "name,fixed,moving,status,seconds,network_s";
  for (const std::string& metric : metrics) {
    out += str(',', metric, "_before,", metric, "_after");
  }
  out += ",reason\n";
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const PairResult& result = results[i];
    const bool has = result.record.is_object();
    out += str(csv_cell(pairs[i].name), ',', csv_cell(pairs[i].fixed), ',', csv_cell(pairs[i].moving), ',',
               result.status, ',', result.seconds > 0.0 ? to_text(result.seconds) : "", ',',
               has ? to_text(result.record.at("network_s").get<double>()) : "");
    for (const std::string& metric : metrics) {
      out += str(',', has ? metric_cell(result, metric, "before") : "", ',',
                 has ? metric_cell(result, metric, "after") : "");
    }
    out += str(',', csv_cell(result.reason), '\n');
  }
  write_file_atomically(path, out);
}

/// Means over the pairs that have results.
void print_means(const std::vector<PairResult>& results) {
  TextTable table;
  table.column("metric", TextTable::Align::kLeft);
  for (const char* head : {"before", "after", "pairs"}) {
    table.column(head, TextTable::Align::kRight);
  }
  for (const std::string& metric : metric_names(results)) {
    double before = 0.0;
    double after = 0.0;
    int count = 0;
    for (const PairResult& result : results) {
      if (result.record.is_object() && result.record.value("metrics", Json::object()).contains(metric)) {
        before += metric_value(result, metric, "before");
        after += metric_value(result, metric, "after");
        ++count;
      }
    }
    table.row({metric, fixed_text(before / count, 4), fixed_text(after / count, 4), str(count)});
  }
  std::cout << table.text();
}

/// Runs the pairs that are not done. Up to `ahead_` are read and prepared and as many written, each by a thread, while
/// one is in the network.
class Pipeline {
 public:
  Pipeline(TrainedModel& trained, const PairReader& reader, const std::vector<PairFiles>& pairs,
           const RegisterSettings& settings, std::vector<PairResult>& results)
      : trained_(trained), reader_(reader), pairs_(pairs), settings_(settings), results_(results) {}

  void run(const std::vector<std::size_t>& order) {
    if (order.empty()) {
      return;
    }
    Progress progress("register", static_cast<std::int64_t>(order.size()), ProgressOptions::for_stderr());
    std::size_t asked = 0;
    for (std::size_t at = 0; at < order.size(); ++at) {
      for (; asked < order.size() && reading_.size() < ahead_; ++asked) {
        reading_.push_back(std::async(std::launch::async, [this, pair = order[asked]] { return prepare(pair); }));
      }
      std::future<std::unique_ptr<PairWork>> now = std::move(reading_.front());
      reading_.pop_front();
      register_one(order[at], std::move(now));
      progress.update(static_cast<std::int64_t>(at + 1), pairs_[order[at]].name);
    }
    while (!writing_.empty()) {
      take_first();
    }
    progress.finish();
  }

 private:
  void register_one(std::size_t pair, std::future<std::unique_ptr<PairWork>> ready) {
    try {
      std::unique_ptr<PairWork> work = ready.get();
      run_network(trained_, work->found, network_run(settings_));
      while (writing_.size() >= ahead_) {
        take_first();
      }
      writing_.emplace_back(pair, std::async(std::launch::async, [this, pair, held = std::move(work)]() mutable {
                              return finish(pair, std::move(held));
                            }));
    } catch (const Error& error) {
      results_[pair] = failed(pair, error);
    }
  }

  std::unique_ptr<PairWork> prepare(std::size_t pair) const {
    auto out = std::make_unique<PairWork>();
    out->start_s = system_clock().monotonic_s();
    out->loaded = reader_.read(pairs_[pair]);
    out->found = reader_.prepare(pairs_[pair], out->loaded);
    return out;
  }

  PairResult finish(std::size_t pair, std::unique_ptr<PairWork> work) const {
    finish_registration(work->found, work->loaded.fixed.grid);
    PairResult out;
    out.record = write_pair(trained_, pairs_[pair], work->loaded, settings_, work->found);
    out.status = "done";
    out.seconds = system_clock().monotonic_s() - work->start_s;
    return out;
  }

  /// The fault of this pair alone; others, as of the device, end the call.
  PairResult failed(std::size_t pair, const Error& error) const {
    if (error.code() != ExitCode::kData && error.code() != ExitCode::kConfig) {
      throw;
    }
    log_error(pairs_[pair].source, " (", pairs_[pair].name, "): ", error.what());
    return {"failed", error.what(), 0.0, Json()};
  }

  void take_first() {
    auto [pair, result] = std::move(writing_.front());
    writing_.pop_front();
    try {
      results_[pair] = result.get();
    } catch (const Error& error) {
      results_[pair] = failed(pair, error);
    }
  }

  TrainedModel& trained_;
  const PairReader& reader_;
  const std::vector<PairFiles>& pairs_;
  const RegisterSettings& settings_;
  std::vector<PairResult>& results_;
  const std::size_t ahead_ = std::clamp<std::size_t>(std::thread::hardware_concurrency() / 4, 1, 4);
  std::deque<std::future<std::unique_ptr<PairWork>>> reading_;
  std::deque<std::pair<std::size_t, std::future<PairResult>>> writing_;
};

/// One line for each pair, where there are few.
void print_pairs(const std::vector<PairFiles>& pairs, const std::vector<PairResult>& results) {
  if (pairs.size() > kPrintedPairs) {
    return;
  }
  const std::vector<std::string> metrics = metric_names(results);
  TextTable table;
  table.column("pair", TextTable::Align::kLeft);
  table.column("status", TextTable::Align::kLeft);
  for (const std::string& metric : metrics) {
    table.column(metric, TextTable::Align::kRight);
  }
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    std::vector<std::string> row = {pairs[i].name, results[i].status};
    for (const std::string& metric : metrics) {
      const bool has = results[i].record.is_object() && results[i].record.value("metrics", Json()).contains(metric);
      row.push_back(has ? fixed_text(metric_value(results[i], metric, "after"), 4) : "");
    }
    table.row(std::move(row));
  }
  std::cout << table.text() << '\n';
}

void print_totals(const std::vector<PairResult>& results, const std::vector<std::size_t>& order, double seconds) {
  double network = 0.0;
  std::size_t failures = 0;
  for (const std::size_t i : order) {
    network += results[i].record.is_object() ? results[i].record.at("network_s").get<double>() : 0.0;
    failures += results[i].status == "failed" ? 1 : 0;
  }
  const std::size_t done = order.size() - failures;
  std::cout << done << " pairs in " << duration_text(seconds);
  if (done > 0) {
    std::cout << ", " << duration_text(seconds / static_cast<double>(done)) << " per pair, "
              << fixed_text(100.0 * network / seconds, 0) << " % of it in the network";
  }
  std::cout << "; " << results.size() - order.size() << " kept, " << failures << " failed\n";
}

}  // namespace

std::size_t register_pairs(TrainedModel& trained, const PairReader& reader, const std::vector<PairFiles>& pairs,
                           const RegisterSettings& settings, const fs::path& output) {
  const double start = system_clock().monotonic_s();
  std::vector<PairResult> results(pairs.size());
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (Json record = finished_record(pairs[i], settings, trained); record.is_object()) {
      results[i] = {"kept", "", 0.0, std::move(record)};
    } else {
      order.push_back(i);
    }
  }
  if (order.size() < pairs.size()) {
    log_info(pairs.size() - order.size(), " of ", pairs.size(), " pairs are done already");
  }
  make_directories(output);
  Pipeline(trained, reader, pairs, settings, results).run(order);
  write_table(pairs, results, output / kTable);
  print_pairs(pairs, results);
  print_means(results);
  print_totals(results, order, system_clock().monotonic_s() - start);
  std::cout << "table               " << (output / kTable).string() << '\n';
  return static_cast<std::size_t>(std::count_if(results.begin(), results.end(),
                                                [](const PairResult& result) { return result.status == "failed"; }));
}

}  // namespace regatta::app
