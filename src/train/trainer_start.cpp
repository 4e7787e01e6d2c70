// How an attempt begins: the newest checkpoint, the environment, data and network on the device, its files.
#include <algorithm>
#include <limits>
#include <system_error>
#include <thread>
#include <utility>

#include <sched.h>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/log.hpp"
#include "regatta/config/record.hpp"
#include "regatta/config/settings.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/train/backend_choice.hpp"
#include "regatta/train/group_run.hpp"
#include "regatta/train/memory_forecast.hpp"
#include "train/data_place.hpp"
#include "train/initial_weights.hpp"
#include "train/run_record.hpp"
#include "train/trainer_impl.hpp"

namespace regatta {
namespace {

template <class Note, class V>
void visit_start(Note& n, V&& v) {
  v("step", n.step);
  v("checkpoint", n.checkpoint);
  v("resume", n.resume);
  v("resume_reason", n.resume_reason);
  v("volumes", n.volumes);
  v("data_bytes", n.data_bytes);
  v("streamed", n.streamed);
  v("threads", n.threads);
  v("backend", n.backend);
  v("parts", n.parts);
  v("members", n.members);
}

}  // namespace

std::string StartNote::data_text() const {
  const std::string size = bytes_text(static_cast<double>(data_bytes));
  return streamed ? str(volumes, " volumes take turns in ", size, " of the device") : str(volumes, " volumes, ", size);
}

Json to_json(const StartNote& note) {
  RecordWriter writer;
  visit_start(note, writer);
  return writer.value();
}

StartNote start_note_from(const Json& json) {
  StartNote note;
  visit_start(note, RecordReader(json));
  return note;
}

void Trainer::Impl::prepare(const Archive& given) {
  archive = &given;
  require_group(setup.resolved, comm.size());
  for (const std::string& line : setup.resolved.notes) {
    log_warning(line);
  }
  const auto loaded = loaded_by_all([&] { return load_newest_checkpoint(setup.files, setup.resolved.hash); });
  choose_environment(loaded ? &*loaded : nullptr);
  data.emplace(Dataset::load(given, parts_of(recipe), setup.device, subjects_to_hold(setup.resolved, setup.device)));
  backend_parts = step_forms(setup.resolved, backend, setup.device, data->in_unit_range());
  step = std::make_unique<TrainingStep>(recipe, setup.device, backend, Capture::kAllowed, &comm);
  setup.resolved.numerical_on_cuda = step->model().numerical_on_cuda();  // the backend has a say
  if (!step->why_not_captured().empty()) {
    log_warning("steps are not captured, each costs the host hundreds of orders: ", step->why_not_captured());
  }

  if (comm.is_first()) {
    check_room();
  }
  StartNote note;
  ledger.started_utc = system_clock().utc_text();
  if (loaded) {
    go_on_from(*loaded, note);
  } else if (!recipe.model.init_from.empty()) {
    start_from_weights();
  }
  first_step = counters.step;
  if (comm.is_first()) {
    remove_leftovers();
    open_files();
  }
  if (loaded && saves) {
    saves->start_from(loaded->counters);
  }
  note.members = comm.size();
  note.step = counters.step;
  note.resume = ledger.resume;
  note.volumes = data->volumes();
  note.data_bytes = data->bytes();
  note.streamed = data->is_streamed();
  note.threads = threads;
  note.backend = backend_name(backend);
  note.parts = backend_parts;
  observer.on_start(note);
}

/// Threads, backend and everything else that decides the bits. @param loaded  the checkpoint to continue from, or null
void Trainer::Impl::choose_environment(const LoadedCheckpoint* loaded) {
  threads = recipe.run.threads > 0 ? recipe.run.threads : setup.threads;
  if (loaded != nullptr) {
    const Json before = parse_json(loaded->file.metadata.at("environment"), loaded->from.path.string());
    threads = threads > 0 ? threads : before.value("threads", 0);
    backend =
        continued_backend(recipe.run.backend, before.value("backend", backend_name(Backend::kReference)), setup.device);
  } else {
    backend = choose_backend(recipe.run.backend, setup.device);
  }
  evaluator = Evaluator(recipe.validation.metrics, backend);
  threads = threads > 0 ? threads : usable_cores();
  set_cpu_threads(threads);
  set_deterministic(recipe.run.tf32);
  reset_peak(setup.device);
  environment = environment_of(setup.device, backend, threads);
  if (!comm.is_alone()) {  // checkpoints of one process do not say it
    environment["members"] = comm.size();
  }
}

void Trainer::Impl::go_on_from(const LoadedCheckpoint& loaded, StartNote& note) {
  step->load_(loaded.file, loaded.from.path.string());
  counters = loaded.counters;
  const std::string now_utc = std::exchange(ledger, loaded.ledger).started_utc;
  ledger.started_utc = ledger.started_utc.empty() ? now_utc : ledger.started_utc;
  note.resume_reason = compare_environment(loaded.file);
  const std::string determinism = determinism_of(setup.resolved, setup.device);
  ledger.resume = resume_kind(determinism, ledger.resume, note.resume_reason);
  if (note.resume_reason.empty() && determinism != "bitwise") {
    note.resume_reason = str(recipe.model.name, " trains on a GPU with rounding errors that differ from run to run");
  }
  note.checkpoint = loaded.from.path.string();
  if (counters.best_step >= 0 && !read_best(setup.files)) {
    log_warning(setup.files.best_weights().string(),
                ": is missing or damaged; the best weights are chosen again from here on");
    counters.best_step = -1;
    counters.best_value = std::numeric_limits<double>::quiet_NaN();
    counters.best.clear();
  }
}

void Trainer::Impl::open_files() {
  log = std::make_unique<TrainingLog>(setup.files, setup.attempt, recipe.run.log_pairs);
  log->write_everywhere({MetricLine::Kind::kStart, counters.step, order.epoch_of(counters.step), 0.0, 0.0, {}});
  saves = std::make_unique<SavePolicy>(setup.files, setup.attempt, recipe.checkpoint, setup.give_up_s,
                                       [this] { log->sync(); });
}

/// Whether the checkpoints that will stay side by side fit on the disk. Quotas show only when they are met.
void Trainer::Impl::check_room() const {
  constexpr std::uint64_t kCheckpoints = 3;
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : step->state()) {
    bytes += tensor.nbytes();
  }
  const std::uint64_t room = free_bytes(setup.files.root);
  REGATTA_REQUIRE(room >= kCheckpoints * bytes, DataError, setup.files.root.string(), ": ",
                  bytes_text(static_cast<double>(room)), " free, ", kCheckpoints, " checkpoints need ",
                  bytes_text(static_cast<double>(kCheckpoints * bytes)), "; free space or choose another folder");
}

/// The first attempt of a fine-tuning: the weights of the recipe's file instead of those drawn from the seed.
void Trainer::Impl::start_from_weights() {
  const std::string& path = recipe.model.init_from;
  const SafetensorsFile file = read_initial_weights(path);
  REGATTA_REQUIRE(file.xxh3 == setup.resolved.init_from_xxh3, DataError, initial_weights_source(path),
                  ": has changed since the recipe was read");
  const std::string converted = step->load_weights_(file, initial_weights_source(path));
  log_info("weights from ", path, ", xxh3 ", file.xxh3, converted.empty() ? "" : "; converted: ", converted);
}

/// Half-written files that a killed attempt left beside recipe.json.
void Trainer::Impl::remove_leftovers() {
  std::error_code error;
  std::vector<std::filesystem::path> left;
  for (const auto& entry : std::filesystem::directory_iterator(setup.files.root, error)) {
    if (entry.path().filename().string().find(".tmp.") != std::string::npos) {
      left.push_back(entry.path());
    }
  }
  for (const std::filesystem::path& path : left) {
    std::filesystem::remove(path, error);
  }
}

/// What differs from the environment that made the checkpoint; empty if a resume is bitwise.
std::string Trainer::Impl::compare_environment(const SafetensorsFile& file) {
  return join(json_differences(parse_json(file.metadata.at("environment"), "checkpoint"), environment), "; ");
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    return std::max(1, CPU_COUNT(&set));
  }
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace regatta
