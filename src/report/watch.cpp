// `regatta status --watch`: ranks, and the text that is shown again and again.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "regatta/base/text.hpp"
#include "regatta/sweep/layout.hpp"
#include "report/format.hpp"
#include "report/rank_status.hpp"

namespace regatta {
namespace {

constexpr std::size_t kShownFailures = 3;

/// Ranks by shard, as the "join" records say.
std::map<std::string, int> ranks_by_shard(const std::vector<Json>& records) {
  std::map<std::string, int> ranks;
  for (const Json& record : records) {
    const auto type = record.find("type");
    const auto shard = record.find("shard");
    const auto count = record.find("ranks");
    if (type != record.end() && *type == "join" && shard != record.end() && shard->is_string() &&
        count != record.end() && count->is_number_integer()) {
      ranks[shard->get<std::string>()] = count->get<int>();
    }
  }
  return ranks;
}

std::string bar(std::int64_t done, std::int64_t total, std::size_t width) {
  const std::size_t full =
      total > 0 ? std::min(width, static_cast<std::size_t>(done) * width / static_cast<std::size_t>(total)) : 0;
  return str("[", std::string(full, '#'), std::string(width - full, '.'), "]");
}

std::int64_t done_trials(const SweepStatus& status) {
  return status.ok + status.pruned + static_cast<std::int64_t>(status.lost.size());
}

std::string totals_line(const SweepStatus& status, bool bars) {
  const auto running = std::count_if(status.active.begin(), status.active.end(),
                                     [](const ActiveTrial& trial) { return trial.status == "running"; });
  std::string line = bars ? str(one_line(status.name, 40), "  ", bar(done_trials(status), status.total, 24), "  ") : "";
  line += str(done_trials(status), " of ", status.total, " trials done");
  if (!status.lost.empty()) {
    line += str(", ", status.lost.size(), " of them failed");
  }
  line += str("; ", running, " running, ", static_cast<std::int64_t>(status.active.size()) - running, " paused, ",
              status.waiting, " waiting");
  return status.left_s ? str(line, "; about ", duration_text(*status.left_s), " left") : line;
}

/// "t00005  60/150  40 %  dice 0.4712  381 ms/step  34 s left  (lr 0.001  weight 2)"
std::string trial_text(const SweepStatus& status, const ActiveTrial& trial, bool bars) {
  std::string line = str(trial.name, bars && trial.steps > 0 ? str("  ", bar(trial.step, trial.steps, 16)) : "", "  ",
                         trial.step, trial.steps > 0 ? str("/", trial.steps) : "");
  if (trial.best) {
    line += str("  ", one_line(status.metric, 30), " ", number_text(*trial.best));
  }
  if (trial.ms_per_step) {
    line += str("  ", number_text(*trial.ms_per_step, 3), " ms/step");
  }
  if (trial.left_s) {
    line += str("  ", duration_text(*trial.left_s), " left");
  }
  if (trial.attempt > 1) {
    line += str("  attempt ", trial.attempt);
  }
  return trial.point.empty() ? line : str(line, "  (", one_line(trial.point, 100), ")");
}

std::vector<std::string> rank_lines(const SweepStatus& status, bool bars) {
  std::map<std::string, std::set<std::string>> jobs;  // of a host: named only where there are several
  for (const RankStatus& rank : status.ranks) {
    jobs[rank.host].insert(rank.job);
  }
  std::vector<std::string> lines;
  for (const RankStatus& rank : status.ranks) {
    const std::string job = jobs[rank.host].size() > 1 ? str(" of ", one_line(rank.job, 40)) : "";
    lines.push_back(str(one_line(rank.host, 40), " rank ", rank.rank, job, "  ",
                        rank.active ? trial_text(status, status.active[*rank.active], bars) : "idle"));
  }
  return lines;
}

}  // namespace

std::vector<RankStatus> ranks_of(const JournalView& view, const std::vector<ActiveTrial>& active) {
  const std::map<std::string, int> counts = ranks_by_shard(view.records);
  std::map<std::pair<std::string, int>, RankStatus> ranks;
  for (const auto& [shard, owner] : view.state.owners()) {
    const auto count = counts.find(shard);
    for (int rank = 0; count != counts.end() && rank < count->second && !view.gone.contains(shard); ++rank) {
      ranks[{shard, rank}] = {owner.process.host, str(owner.place.cluster, "/", owner.place.job), rank, std::nullopt};
    }
  }
  std::map<std::pair<std::string, int>, std::string> newest;
  for (const TrialState& trial : view.state.trials()) {
    const auto found = ranks.find({trial.shard, trial.rank});
    if (found == ranks.end()) {
      continue;
    }
    if (std::string& time = newest[found->first]; trial.started_utc >= time) {
      time = trial.started_utc;
      found->second.host = trial.host;
    }
    if (trial.phase == TrialPhase::kRunning) {
      const auto at = std::find_if(active.begin(), active.end(),
                                   [&trial](const ActiveTrial& one) { return one.name == trial_name(trial.number); });
      found->second.active =
          at == active.end() ? std::nullopt : std::optional<std::size_t>(static_cast<std::size_t>(at - active.begin()));
    }
  }
  std::vector<RankStatus> list;
  for (auto& [key, rank] : ranks) {
    list.push_back(std::move(rank));
  }
  std::sort(list.begin(), list.end(), [](const RankStatus& a, const RankStatus& b) {
    return std::tie(a.host, a.job, a.rank) < std::tie(b.host, b.job, b.rank);
  });
  return list;
}

std::string watch_text(const SweepStatus& status, bool bars, const WatchSize& size) {
  std::vector<std::string> lines = {totals_line(status, bars), status.best_text};
  std::vector<std::string> last;
  for (std::size_t i = 0; i < std::min(kShownFailures, status.lost.size()); ++i) {
    const LostTrial& trial = status.lost[status.lost.size() - 1 - i];
    last.push_back(str(trial.name, "  ", trial.status, " at step ", trial.step, ": ",
                       trial.message.empty() ? "no message" : one_line(trial.message, 200)));
  }
  std::vector<std::string> ranks = rank_lines(status, bars);
  const std::size_t others = lines.size() + last.size() + 1;  // and the line of those that are left out
  const std::size_t room =
      size.rows > 0 ? std::max<std::size_t>(static_cast<std::size_t>(size.rows), others) - others : ranks.size();
  const std::size_t shown = ranks.size() <= room + 1 ? ranks.size() : room;
  lines.insert(lines.end(), ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(shown));
  if (shown < ranks.size()) {
    lines.push_back(str("and ", ranks.size() - shown, " more ranks"));
  }
  lines.insert(lines.end(), last.begin(), last.end());
  std::string text;
  for (const std::string& line : lines) {
    const auto columns = static_cast<std::size_t>(std::max(size.columns, 4));
    text += str(size.columns > 0 && line.size() > columns ? one_line(line, columns - 3) : line, "\n");
  }
  return text;
}

}  // namespace regatta
