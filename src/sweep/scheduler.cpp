// The table of schedulers, from schedulers/schedulers.def, and what a sweep's rungs cost.
#include "regatta/sweep/scheduler.hpp"

#include <algorithm>

#include "regatta/base/error.hpp"

namespace regatta {

#define REGATTA_SCHEDULER(name, help) std::unique_ptr<Scheduler> make_##name##_scheduler();
#include "sweep/schedulers/schedulers.def"
#undef REGATTA_SCHEDULER

const std::vector<SchedulerRow>& scheduler_rows() {
#define REGATTA_SCHEDULER(name, help) {#name, help, make_##name##_scheduler},
  static const std::vector<SchedulerRow> rows = {
#include "sweep/schedulers/schedulers.def"
  };
#undef REGATTA_SCHEDULER
  return rows;
}

std::unique_ptr<Scheduler> make_scheduler(const std::string& name) {
  const auto& rows = scheduler_rows();
  const auto row =
      std::find_if(rows.begin(), rows.end(), [&name](const SchedulerRow& each) { return name == each.name; });
  if (row != rows.end()) {
    return row->make();
  }
  std::vector<std::string> names;
  names.reserve(rows.size());
  for (const SchedulerRow& each : rows) {
    names.emplace_back(each.name);
  }
  throw ConfigError(str("/scheduler/name: unknown scheduler '", one_line(name, 60), "', have: ", join(names, ", ")));
}

std::vector<RungRow> rung_table(const SchedulerOptions& options, const std::vector<std::int64_t>& rungs,
                                std::int64_t epochs, std::int64_t points, std::int64_t folds, std::int64_t replicates) {
  const auto scheduler = make_scheduler(options.name);
  std::vector<RungRow> rows;
  std::int64_t before = 0;
  for (std::size_t rung = 0; rung <= rungs.size(); ++rung) {
    const bool is_last = rung == rungs.size();
    RungRow row;
    row.epochs = is_last ? epochs : rungs[rung];
    row.points = points;
    row.trials = points * folds;
    row.epochs_more = row.trials * (row.epochs - before);
    if (is_last) {  // the other replicates train from their beginning
      row.trials += points * folds * (replicates - 1);
      row.epochs_more += points * folds * (replicates - 1) * epochs;
    }
    rows.push_back(row);
    before = row.epochs;
    points = scheduler->promotes(options, {points, points, true});
  }
  return rows;
}

}  // namespace regatta
