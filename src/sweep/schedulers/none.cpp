// No scheduler: every trial trains to its end.
#include "regatta/base/error.hpp"
#include "regatta/sweep/scheduler.hpp"

namespace regatta {
namespace {

class NoScheduler : public Scheduler {
 public:
  void check(const JobOptions& job) const override {
    const SchedulerOptions untouched;
    const SchedulerOptions& given = job.scheduler;
    const bool is_plain = given.eta == untouched.eta && given.least == untouched.least &&
                          given.most == untouched.most && given.form == untouched.form;
    REGATTA_REQUIRE(is_plain, ConfigError,
                    "/scheduler: eta, least, most and form have no effect with the scheduler none; give "
                    "\"name\": \"asha\", or leave them out");
  }

  std::vector<std::int64_t> rungs(const SchedulerOptions&, std::int64_t, std::int64_t) const override { return {}; }

  std::int64_t promotes(const SchedulerOptions&, const RungCount& rung) const override { return rung.most; }

  std::int64_t keeps(const SchedulerOptions&, const RungCount& rung) const override { return rung.most; }
};

}  // namespace

std::unique_ptr<Scheduler> make_none_scheduler() {
  return std::make_unique<NoScheduler>();
}

}  // namespace regatta
