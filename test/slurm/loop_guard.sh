#!/bin/bash
# A job whose trials never get anywhere before it is told to leave: it gives up after two starts without gain, with
# code 86, FAILED, and does not requeue itself for ever.
#   loop_guard.sh BIN_DIR [FAKE_WORKER]
# shellcheck source-path=SCRIPTDIR source=scenario.sh
. "$(dirname "$0")/scenario.sh"
start_box --nodes 1 --gpus 4
make_job 4 100 50 10 '{"0": "stuck@0", "1": "stuck@0", "2": "stuck@0", "3": "stuck@0"}'
submit --no-collect
for i in 1 2 3; do
  wait_until 60 "start $i" has_records $((i * 4)) 'type:"start"'
  sleep 1
  scancel --signal=USR2 "$job"
  wait_until 60 "end of start $i" has_records "$i" 'type:"leave"'
  stage "start $i has left"
  ! has_ended "$job" || break
  sleep 1
  ! has_ended "$job" || break
done
wait_until 60 "the end" has_ended "$job"
stage "ended"
state_of "$job"
expect "job" "$(field "$job" JobState) $(field "$job" ExitCode)" "FAILED 86:0"
[ "$(field "$job" Restarts)" -le 2 ] || fail "it requeued itself $(field "$job" Restarts) times"
expect "a line says why" "$(grep -c 'gained nothing: not requeued' "$sweep"/slurm/scenario-[0-9]*.log)" 1
nobody_left
