// How a child's end is classified, as tables.
#include <csignal>

#include "launch/attempt_end.hpp"
#include "regatta/config/options.hpp"
#include "support/catch.hpp"

namespace regatta {
namespace {

AttemptEvidence ended(int code, int signal) {
  AttemptEvidence evidence;
  evidence.exit = {1234, code, signal};
  evidence.last_step = 17;
  return evidence;
}

TEST_CASE("without the child's own word its exit code or signal tells how it ended") {
  struct Row {
    int code;
    int signal;
    AttemptStatus status;
    const char* message;
  };
  const Row rows[] = {
      {0, 0, AttemptStatus::kFailed, "without saying how"},  {1, 0, AttemptStatus::kFailed, "exit code 1"},
      {2, 0, AttemptStatus::kBadInput, "exit code 2"},       {3, 0, AttemptStatus::kBadInput, "exit code 3"},
      {5, 0, AttemptStatus::kDevice, "exit code 5"},         {12, 0, AttemptStatus::kOom, "exit code 12"},
      {13, 0, AttemptStatus::kDiverged, "exit code 13"},     {30, 0, AttemptStatus::kFailed, "exit code 30"},
      {70, 0, AttemptStatus::kFailed, "exit code 70"},       {85, 0, AttemptStatus::kPaused, "exit code 85"},
      {137, 0, AttemptStatus::kSignal, "ran out of memory"}, {0, SIGKILL, AttemptStatus::kSignal, "ran out of memory"},
      {0, SIGSEGV, AttemptStatus::kSignal, "SIGSEGV"},
  };
  for (const Row& row : rows) {
    INFO("code " << row.code << " signal " << row.signal);
    const AttemptEnd end = classify_end(ended(row.code, row.signal));
    CHECK(end.status == row.status);
    CHECK(end.step == 17);
    CHECK(end.result.is_null());
    CHECK_THAT(end.message, Catch::Contains(row.message));
  }
}

TEST_CASE("the child's own word counts more than its exit") {
  AttemptEvidence evidence = ended(0, SIGSEGV);  // it crashed while it was put away
  evidence.end_message = Json{{"status", "ok"}, {"step", 40}, {"message", ""}, {"result", {{"best", 1}}}};
  const AttemptEnd end = classify_end(evidence);
  CHECK(end.status == AttemptStatus::kOk);
  CHECK(end.step == 40);
  CHECK(end.result.at("best") == 1);
}

TEST_CASE("an end that says ok without a result, or something unknown, is a failure") {
  AttemptEvidence evidence = ended(0, 0);
  evidence.end_message = Json{{"status", "ok"}, {"step", 40}};
  CHECK(classify_end(evidence).status == AttemptStatus::kFailed);
  evidence.end_message = Json{{"status", "splendid"}, {"step", 40}};
  CHECK(classify_end(evidence).status == AttemptStatus::kFailed);
}

TEST_CASE("what the supervisor did to the child explains its signal") {
  AttemptEvidence evidence = ended(0, SIGABRT);
  evidence.interference = Interference::kHang;
  evidence.silent_s = 75;
  CHECK(classify_end(evidence).status == AttemptStatus::kHang);
  evidence = ended(0, SIGKILL);
  evidence.interference = Interference::kDeadline;
  CHECK(classify_end(evidence).status == AttemptStatus::kTimeout);
  evidence.end_message = Json{{"status", "paused"}, {"step", 21}, {"message", ""}};  // it saved, but could not die
  CHECK(classify_end(evidence).status == AttemptStatus::kPaused);
  evidence = ended(0, SIGKILL);
  evidence.protocol_error = "protocol: a message without type: x";
  CHECK(classify_end(evidence).status == AttemptStatus::kFailed);
  CHECK_THAT(classify_end(evidence).message, Catch::Contains("without type"));
}

}  // namespace
}  // namespace regatta
