// The loop over the members' sockets, and what counts as the reason when a group fails.
#include "regatta/train/group_run.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include <c10/core/impl/VirtualGuardImpl.h>
#include <poll.h>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/version.hpp"
#include "regatta/config/record.hpp"
#include "train/comm.hpp"
#include "train/member_process.hpp"
#include "train/step_clock.hpp"

namespace regatta {
namespace {

constexpr double kGrace_s = 2.0;          ///< for the others to say what they saw, once one has failed
constexpr double kMorePatience_s = 10.0;  ///< than the members have with each other, who know better
constexpr double kLeave_s = 240.0;        ///< for a save when the group is to leave
constexpr double kRepeat_s = 1.0;

class GroupRun {
 public:
  GroupRun(const GroupOrder& order, TrainObserver& observer)
      : order_(order), observer_(observer), rendezvous_(new_rendezvous()) {
    for (int rank = 0; rank < order.members; ++rank) {
      members_.push_back(std::make_unique<MemberProcess>(order, rank));
    }
  }

  TrainOutcome run() {
    while (std::any_of(members_.begin(), members_.end(), [](const auto& member) { return !member->has_ended(); })) {
      wait();
      for (const auto& member : members_) {
        listen(*member);
      }
      ask_to_leave();
      watch();
    }
    for (const auto& member : members_) {
      listen(*member);
    }
    return result();
  }

 private:
  void wait() {
    std::vector<pollfd> list;
    for (const auto& member : members_) {
      if (!member->channel().closed()) {
        list.push_back({member->channel().fd(), POLLIN, 0});
      }
    }
    ::poll(list.data(), list.size(), list.size() == members_.size() ? 100 : 10);
  }

  void listen(MemberProcess& member) {
    member.channel().flush(0.0);
    for (Json& message : member.channel().receive()) {
      member.heard_s = now_s();
      handle(member, std::move(message));
    }
  }

  void handle(MemberProcess& member, Json message) {
    const std::string type = message.at("type");
    if (type == "hello") {
      const std::string build = message.value("build", std::string());
      REGATTA_REQUIRE(message.value("protocol", 0) == kProtocolVersion && build == build_id(), CommError,
                      "group: ", order_.program.front(), " is build '", one_line(build, 60), "', this is build '",
                      build_id(), "'");
      member.greeted = true;
      StartOrder start;
      start.root = order_.files.root.string();
      start.attempt = order_.attempt;
      start.device = order_.gpus.empty() ? "cpu" : "cuda:0";
      start.threads = order_.threads;
      start.keeps_checkpoints = true;
      start.group = {rendezvous_, member.rank(), order_.members, order_.deadline_s, order_.patience_s};
      member.channel().send("start", to_json(start));
    } else if (type == "end") {
      member.said(std::move(message));
    } else if (type == "progress") {
      if (message.contains("ms_per_step") && message["ms_per_step"].is_number()) {
        member.step_s = message["ms_per_step"].get<double>() / 1000.0;
      }
      if (member.rank() == 0) {
        show_progress(message);
      }
    } else if (member.rank() == 0 && type == "report") {
      observer_.on_validation({message.at("step").get<std::int64_t>(), message.at("epoch").get<std::int64_t>(),
                               numbers_from_json(message.at("metrics"), "/metrics"), message.value("is_best", false)});
    } else if (member.rank() == 0 && type == "checkpoint") {
      observer_.on_checkpoint({message.at("step").get<std::int64_t>(), message.at("file").get<std::string>(),
                               number_from_json(message.at("save_s"), "/save_s")});
    }
  }

  void show_progress(const Json& message) {
    if (message.contains("start")) {
      observer_.on_start(start_note_from(message.at("start")));
      return;
    }
    TrainProgress progress;
    progress.step = message.value("step", std::int64_t{0});
    progress.steps = message.value("steps", std::int64_t{0});
    progress.epoch = message.value("epoch", std::int64_t{0});
    progress.epochs = message.value("epochs", std::int64_t{0});
    progress.losses = numbers_from_json(message.value("losses", Json::object()), "/losses");
    progress.ms_per_step = number_from_json(message.at("ms_per_step"), "/ms_per_step");
    progress.eta_s = number_from_json(message.at("eta_s"), "/eta_s");
    progress.validated = message.value("validated", std::int64_t{0});
    progress.to_validate = message.value("to_validate", std::int64_t{0});
    observer_.on_progress(progress);
  }

  /// Said every second: a member that reads "start" and "leave" at once takes the first alone.
  void ask_to_leave() {
    if (!observer_.should_leave() && leave_s_ == 0.0) {
      return;
    }
    const double now = now_s();
    leave_s_ = leave_s_ == 0.0 ? now : leave_s_;
    if (now - leave_sent_s_ < kRepeat_s) {
      return;
    }
    leave_sent_s_ = now;
    for (const auto& member : members_) {
      if (member->greeted && !member->channel().closed()) {
        member->channel().send("leave", Json::object());
      }
    }
  }

  double allowed_s(const MemberProcess& member) const {
    const double while_running =
        member.step_s > 0.0 ? std::max(order_.patience_s, kStepsSilent * member.step_s) : order_.deadline_s;
    return (leave_s_ > 0.0 ? std::max(while_running, kLeave_s) : while_running) + kMorePatience_s;
  }

  /// Ends the group when a member has failed or keeps silent.
  void watch() {
    const double now = now_s();
    for (const auto& member : members_) {
      if (!member->has_ended() && !member->killed && now - member->heard_s > allowed_s(*member)) {
        member->hung(now - member->heard_s);
      }
      if (failed_s_ == 0.0 && member->has_ended()) {
        listen(*member);  // its last words
        if (!member->ended_well()) {
          failed_s_ = now;
        }
      }
    }
    if (failed_s_ > 0.0 && now - failed_s_ > kGrace_s) {
      for (const auto& member : members_) {
        member->kill();
      }
    }
  }

  /// Members that waited for another one say so; what happened to that one counts before.
  static int weight_of(const MemberProcess& member) {
    if (member.ended_well()) {
      return 0;
    }
    const AttemptStatus status = member.outcome().status;
    if (status == AttemptStatus::kSignal && member.killed) {
      return 1;
    }
    return status == AttemptStatus::kLost ? 2 : status == AttemptStatus::kHang ? 3 : 4;
  }

  TrainOutcome result() const {
    const auto worst = std::max_element(members_.begin(), members_.end(),
                                        [](const auto& a, const auto& b) { return weight_of(*a) < weight_of(*b); });
    const MemberProcess& member = **worst;
    if (member.ended_well()) {
      return members_.front()->outcome();
    }
    throw Error(member.code(), str("member ", member.rank(), " of ", order_.members, ": ", member.outcome().message,
                                   "; see ", member.log().string()));
  }

  const GroupOrder& order_;
  TrainObserver& observer_;
  std::string rendezvous_;
  std::vector<std::unique_ptr<MemberProcess>> members_;
  double leave_s_ = 0.0;
  double leave_sent_s_ = -1e9;
  double failed_s_ = 0.0;
};

}  // namespace

TrainOutcome run_group(const GroupOrder& order, TrainObserver& observer) {
  return GroupRun(order, observer).run();
}

int visible_gpus() {
  return c10::impl::hasDeviceGuardImpl(c10::kCUDA) ? c10::impl::VirtualGuardImpl(c10::kCUDA).deviceCount() : 0;
}

std::vector<std::string> gpus_of_members(int members, int visible) {
  REGATTA_REQUIRE(members <= visible, ConfigError, "--gpus ", members, ": ", visible, " visible on this machine",
                  visible == 0 ? "; on the CPU, as many processes train together with --device cpu" : "");
  const char* list = std::getenv("CUDA_VISIBLE_DEVICES");
  std::vector<std::string> names = list != nullptr ? split(list, ',') : std::vector<std::string>{};
  for (int index = static_cast<int>(names.size()); index < members && list == nullptr; ++index) {
    names.push_back(str(index));
  }
  REGATTA_REQUIRE(static_cast<int>(names.size()) >= members, ConfigError, "--gpus ", members,
                  ": CUDA_VISIBLE_DEVICES is '", list != nullptr ? one_line(list, 80) : "", "'");
  names.resize(static_cast<std::size_t>(members));
  return names;
}

void require_group(const ResolvedRecipe& resolved, int members) {
  const int batch = resolved.recipe.train.batch;
  REGATTA_REQUIRE(batch >= members, ConfigError, "/train/batch: ", batch, ", at least ", members,
                  " expected: a batch is spread over a group of ", members, ", a pair each or more");
}

}  // namespace regatta
