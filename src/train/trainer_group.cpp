// What the members of a group agree on: one of them decides, or each does a part and all know the whole.
#include <algorithm>
#include <utility>

#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "regatta/config/record.hpp"
#include "train/trainer_impl.hpp"

namespace regatta {
namespace {

constexpr const char* kYes = "yes";

std::string text_of(const Orders& orders) {
  return str(orders.leave ? 'l' : '-', orders.save ? 's' : '-', orders.look ? 'p' : '-', orders.refused_step, ' ',
             orders.refused);
}

Orders orders_from(const std::string& text) {
  const std::size_t space = text.find(' ');
  REGATTA_REQUIRE(text.size() > 3 && space != std::string::npos, BugError, "orders '", one_line(text, 60), "'");
  return {text.substr(space + 1), std::stoll(text.substr(3, space - 3)), text[0] == 'l', text[1] == 's',
          text[2] == 'p'};
}

}  // namespace

Orders Trainer::Impl::agree() {
  Orders orders;
  if (comm.is_first()) {
    if (const auto refused = saves->look(observer)) {
      orders.refused = refused->error;
      orders.refused_step = refused->step;
    }
    orders.leave = observer.should_leave();
    orders.save = saves->due(counters.step);
    orders.look =
        clock.progress_due() || (!comm.is_alone() && steps_run == 0);  // from the first step on patience is short
  } else {
    observer.should_leave();  // notices that nobody listens any more
  }
  return comm.is_alone() ? orders : orders_from(comm.broadcast(text_of(orders)));
}

bool Trainer::Impl::agreed(bool yes) {
  return comm.is_alone() ? yes : comm.broadcast(yes ? kYes : "no") == kYes;
}

Course Trainer::Impl::agreed(Course course) {
  return agreed(course == Course::kOn) ? Course::kOn : course == Course::kOn ? Course::kBad : course;
}

/// Member 0 chooses a checkpoint, and sets damaged ones aside; the others load the same file.
std::optional<LoadedCheckpoint> Trainer::Impl::loaded_by_all(
    const std::function<std::optional<LoadedCheckpoint>()>& load) {
  if (comm.is_alone()) {
    return load();
  }
  if (comm.is_first()) {
    auto loaded = load();
    comm.broadcast(loaded ? loaded->from.path.string() : "");
    return loaded;
  }
  const std::string path = comm.broadcast({});
  if (path.empty()) {
    return std::nullopt;
  }
  return load_checkpoint_file(setup.files, path);
}

/// First slot of a member in a batch. The recipe's batch is spread as evenly as it goes; one that has fewer pairs, at
/// an epoch's end, leaves the last slots empty.
std::size_t Trainer::Impl::slot_of(int rank, std::size_t pairs) const {
  return std::min(pairs, static_cast<std::size_t>(recipe.train.batch) * static_cast<std::size_t>(rank) /
                             static_cast<std::size_t>(comm.size()));
}

/// Validation with the pairs spread over the group. @return nothing if it was cut short by a request to leave
std::optional<Evaluation> Trainer::Impl::evaluate_together() {
  const std::vector<ArchivePair>& all = data->pairs(recipe.data.val_split);
  const auto members = static_cast<std::size_t>(comm.size());
  std::vector<ArchivePair> own;
  for (auto i = static_cast<std::size_t>(comm.rank()); i < all.size(); i += members) {
    own.push_back(all[i]);
  }
  std::size_t asked = 0;
  const auto keep_going = [&](std::int64_t done, std::int64_t) {
    ++asked;
    if (clock.progress_due()) {
      note_progress(std::min(done * comm.size(), static_cast<std::int64_t>(all.size())),
                    static_cast<std::int64_t>(all.size()));
    }
    return agreed(!observer.should_leave());
  };
  auto evaluation = evaluator.evaluate(step->inference(), *data, own, keep_going);
  const std::size_t rounds = (all.size() + members - 1) / members;
  while (evaluation && asked < rounds) {  // the others have a pair more
    if (!keep_going(static_cast<std::int64_t>(own.size()), 0)) {
      evaluation.reset();
    }
  }
  if (!evaluation || comm.is_alone()) {
    return evaluation;
  }
  Json values = Json::array();
  for (const PairMeasures& measures : evaluation->pairs) {
    values.push_back(numbers_to_json(measures.values));
  }
  std::vector<Json> of_member;
  for (const std::string& text : comm.gather(dump_line(values))) {
    of_member.push_back(parse_json(text, "a member's measures"));
  }
  evaluation->pairs.clear();
  for (std::size_t i = 0; i < all.size(); ++i) {
    evaluation->pairs.push_back({all[i], numbers_from_json(of_member.at(i % members).at(i / members), "")});
  }
  evaluation->means = evaluator.means(evaluation->pairs);
  return evaluation;
}

/// A GPU that computes wrongly, or members at different steps, must not go on unnoticed.
void Trainer::Impl::require_same_weights() {
  if (comm.is_alone()) {
    return;
  }
  clock.leave_steps();
  Xxh3 hash;
  for (const auto& [name, tensor] : step->weights()) {
    const at::Tensor host = tensor.to(at::kCPU).contiguous();
    hash.add(host.const_data_ptr(), host.nbytes());
  }
  const std::vector<std::string> all = comm.gather(hex_text(hash.value()));
  for (std::size_t member = 1; member < all.size(); ++member) {
    REGATTA_REQUIRE(all[member] == all.front(), DeviceError, "step ", counters.step, ": the weights of member ", member,
                    " (xxh3 ", all[member], ") are not those of member 0 (", all.front(),
                    "): a device that computes wrongly; the last checkpoint is good");
  }
}

}  // namespace regatta
