#include "fakes.hpp"

#include "regatta/base/process.hpp"
#include "regatta/config/recipe.hpp"

namespace regatta::test {

JobOptions small_job() {
  JobOptions job;
  job.name = "small";
  job.recipe = parse_json(R"({"data": {"archive": "/data/brains.h5"},
      "losses": {"ncc": {"options": {"window": 5}}, "grad": {"weight": 1.0}}, "train": {"epochs": 2, "seed": 7}})",
                          "test");
  job.axes["/optim/lr"].log = {1e-4, 1e-2};
  job.axes["/optim/lr"].points = 2;
  job.axes["/losses/grad/weight"].list = {0.5, 1, 2};
  return job;
}

std::vector<Description> FakeDescriber::describe(const std::vector<Json>& recipes) {
  ++calls;
  std::vector<Description> answers;
  for (const Json& value : recipes) {
    Recipe recipe = recipe_from_json(value, "fake");
    if (recipe.optim.horizon_epochs == 0) {
      recipe.optim.horizon_epochs = recipe.train.epochs;
    }
    Description answer;
    if (recipe.optim.lr > 0.5) {
      answer.error = "/optim/lr: refused by the model";
      answers.push_back(answer);
      continue;
    }
    answer.resolved = write_options(recipe);
    answer.identity = identity_of(recipe);
    answer.hash = hash_json(answer.identity);
    answer.parameters = 1000;
    answer.steps = recipe.train.epochs * 10;
    answer.forecast_bytes = 1 << 20;
    answer.least_bytes = 1 << 19;
    answer.metrics = {{"dice", "maximise"}, {"ncc", "maximise"}, {"folding", "minimise"}};
    answer.data = {{"fingerprint", fingerprint}, {"train_pairs", 10}};
    answers.push_back(answer);
  }
  return answers;
}

Owner distant_owner(const std::string& shard, const std::string& job, int restart) {
  Owner owner;
  owner.process = {"some-other-host", "boot", 12, 34};
  owner.place = {"hpc", job, restart, true};
  owner.shard = shard;
  return owner;
}

Owner own_owner(const std::string& shard) {
  Owner owner;
  owner.process = this_process();
  owner.place = {"local", "here", 0, false};
  owner.shard = shard;
  return owner;
}

Json record(const std::string& shard, int seq, const std::string& type, Json fields) {
  Json made = {{"type", type}, {"time", "2026-01-02T03:04:05Z"}, {"shard", shard}, {"seq", seq}};
  for (const auto& field : fields.items()) {
    made[field.key()] = field.value();
  }
  return made;
}

Json start(const std::string& shard, int seq, int trial, int attempt, const std::string& seen, int resume_step) {
  return record(shard, seq, "start",
                {{"trial", trial},
                 {"attempt", attempt},
                 {"rank", 1},
                 {"host", "node1"},
                 {"recipe_hash", "abc"},
                 {"resume_step", resume_step},
                 {"seen", seen}});
}

Json checkpoint(const std::string& shard, int seq, int trial, int attempt, int step) {
  return record(shard, seq, "checkpoint", {{"trial", trial}, {"attempt", attempt}, {"step", step}});
}

Json report(const std::string& shard, int seq, int trial, int attempt, int step, double dice) {
  return record(shard, seq, "report",
                {{"trial", trial},
                 {"attempt", attempt},
                 {"step", step},
                 {"epoch", step / 10},
                 {"metrics", {{"dice", number_to_json(dice)}}}});
}

Json end(const std::string& shard, int seq, int trial, int attempt, const std::string& status, int step,
         const std::string& message) {
  Json made =
      record(shard, seq, "end",
             {{"trial", trial}, {"attempt", attempt}, {"status", status}, {"step", step}, {"message", message}});
  if (status == "ok") {
    made["result"] = {{"best", {{"dice", 0.75}}}, {"best_step", step}};
  }
  return made;
}

}  // namespace regatta::test
