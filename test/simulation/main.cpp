// Simulation of a sweep at scale: many coordinators, each the program's own, on a simulated cluster.
//
//   simulate_sweep                                          16 coordinators x 256 ranks, 10 000 trials
//   simulate_sweep --coordinators 1024 --ranks 4 --trials 100000 --json FILE
//   simulate_sweep --NAME VALUE ...                         any option of options.hpp
//
// Exits with 1 if an invariant is broken (check.cpp) or ranks had living children for less than 97 % of the time in
// which there were trials that nobody had claimed.
#include <algorithm>
#include <fstream>
#include <iostream>

#include <sys/resource.h>

#include "check.hpp"
#include "job.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/version.hpp"

namespace regatta::simulation {
namespace {

constexpr double kWantedShare = 0.97;
constexpr std::size_t kShownFaults = 20;

double cpu_s() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

double peak_mib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

double share(double part, double whole) {
  return whole > 0 ? part / whole : 1.0;
}

double ratio(std::int64_t part, std::int64_t whole) {
  return share(static_cast<double>(part), static_cast<double>(whole));
}

Json report(const World& world, const Verdict& verdict) {
  const Measures& m = world.measures;
  const double hours = m.over_s / 3600.0;
  Json out;
  out["build"] = build_id();
  out["options"] = write_options(world.options);
  out["held"] = verdict.faults.empty();
  out["faults"] = Json::array();
  for (std::size_t i = 0; i < std::min(kShownFaults, verdict.faults.size()); ++i) {
    out["faults"].push_back(verdict.faults[i]);
  }
  out["trials"] = {{"done", verdict.counts.done}, {"by_status", verdict.counts.by_status}};
  out["decisions"] = {{"promoted", verdict.promotions.size()}, {"pruned", verdict.pruned}, {"judged", verdict.judged}};
  out["attempts"] = {{"started", verdict.attempts}, {"from_a_checkpoint", verdict.resumed}};
  out["cluster"] = {{"hours", hours},
                    {"job_starts", m.job_starts},
                    {"jobs_killed", m.job_kills},
                    {"cut_offs", m.cut_offs},
                    {"self_stops", m.self_stops},
                    {"children", m.children},
                    {"children_killed", m.child_kills},
                    {"overlaps", m.overlaps}};
  out["ranks_with_a_child"] = {{"while_trials_were_unclaimed", share(m.living_rank_s, m.rank_s)},
                               {"in_all", share(m.all_living_rank_s, m.all_rank_s)}};
  out["coordinators"] = {{"letters", m.letters},
                         {"rounds", m.steps},
                         {"cpu_s", m.coordinator_cpu_s},
                         {"us_per_letter", 1e6 * share(m.coordinator_cpu_s, static_cast<double>(m.letters))},
                         {"us_per_round", 1e6 * share(m.coordinator_cpu_s, static_cast<double>(m.steps))},
                         {"slowest_round_s", m.slowest_step_s}};
  out["claims"] = {{"made", m.claims}, {"lost", m.claims_lost}, {"lost_per_made", ratio(m.claims_lost, m.claims)}};
  out["journal"] = {
      {"shards", world.files.shards().size()}, {"records", verdict.records},
      {"bytes", world.files.bytes()},          {"fsyncs", world.files.appends()},
      {"torn_lines", verdict.torn_lines},      {"looks", m.looks},
      {"shard_looks", m.shard_looks},          {"shard_looks_per_s", static_cast<double>(m.shard_looks) / m.over_s}};
  out["simulation"] = {{"events", m.events}, {"cpu_s", cpu_s()}, {"peak_mib", peak_mib()}};
  return out;
}

void show(const Json& report) {
  for (const char* section : {"trials", "decisions", "attempts", "cluster", "ranks_with_a_child", "coordinators",
                              "claims", "journal", "simulation"}) {
    std::cout << section << ": " << dump_line(report.at(section)) << "\n";
  }
  for (const Json& fault : report.at("faults")) {
    std::cout << "BROKEN: " << fault.get<std::string>() << "\n";
  }
}

/// With one rank kills change nothing: the same promotions in the same order.
void compare_undisturbed(const SimulationOptions& options, Verdict& verdict) {
  SimulationOptions calm = options;
  calm.job_killed_h = calm.child_killed_h = calm.cut_off_h = 1e9;
  calm.attempt_fails = calm.write_torn = 0;
  calm.time_limit_s = 1e9;
  World world(calm);
  world.run();
  const Verdict wanted = check(world);
  verdict.faults.insert(verdict.faults.end(), wanted.faults.begin(), wanted.faults.end());
  if (wanted.promotions != verdict.promotions) {
    const auto differ = std::mismatch(wanted.promotions.begin(), wanted.promotions.end(), verdict.promotions.begin(),
                                      verdict.promotions.end());
    verdict.faults.push_back(str("promotion ", differ.first - wanted.promotions.begin(), " of ",
                                 wanted.promotions.size(), " differs from the undisturbed sweep's"));
  }
  if (wanted.counts.by_status != verdict.counts.by_status) {
    verdict.faults.emplace_back("trials end otherwise than in the undisturbed sweep");
  }
}

int run(int argc, char** argv) {
  Json given = Json::object();
  std::string json_file;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    REGATTA_REQUIRE(name.starts_with("--"), ConfigError, "'", name, "': expected --NAME VALUE");
    if (name == "--json") {
      json_file = argv[i + 1];
    } else {
      const std::string value = argv[i + 1];
      const bool is_word = value.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == std::string::npos;
      given[name.substr(2)] = is_word && value != "true" && value != "false" ? Json(value) : parse_json(value, name);
    }
  }
  REGATTA_REQUIRE(argc % 2 == 1, ConfigError, "'", argv[argc - 1], "': expected --NAME VALUE");
  SimulationOptions options;
  read_options(given, options);
  set_log_level(LogLevel::kError);
  World world(options);
  world.run();
  Verdict verdict = check(world);
  const double living = share(world.measures.living_rank_s, world.measures.rank_s);
  if (living < kWantedShare) {
    verdict.faults.push_back(
        str("ranks had a living child for ", living, " of the time in which trials were unclaimed"));
  }
  if (options.undisturbed) {
    compare_undisturbed(options, verdict);
  }
  const Json out = report(world, verdict);
  show(out);
  if (!json_file.empty()) {
    write_file_atomically(json_file, dump_pretty(out));
  }
  return verdict.faults.empty() ? 0 : 1;
}

}  // namespace
}  // namespace regatta::simulation

int main(int argc, char** argv) {
  try {
    return regatta::simulation::run(argc, argv);
  } catch (const regatta::Error& error) {
    std::cerr << "simulate_sweep: " << error.what() << "\n";
    return static_cast<int>(error.code());
  }
}
