#!/bin/bash
# Requeues by force, again and again (REGATTA_TEST_REQUEUES, default 4), by scontrol and by the job itself in turn: steps
# are continuous, no trial runs to its end twice.
#   requeue_chain.sh BIN_DIR [FAKE_WORKER]
# shellcheck source-path=SCRIPTDIR source=scenario.sh
. "$(dirname "$0")/scenario.sh"
requeues=${REGATTA_TEST_REQUEUES:-4}
export SLURMBOX_EXTRA="KillWait=30"
start_box --nodes 2 --gpus 4
make_job 6 $((requeues * 40)) 50 15   # 2 s of work for each requeue
submit --no-collect
for i in $(seq "$requeues"); do
  wait_until 90 "start $i" has_records "$i" 'type:"join"'
  wait_until 90 "checkpoints after start $i" has_records $((i * 8)) 'type:"checkpoint"'
  if [ $((i % 2)) = 1 ]; then
    scontrol requeue "$job"
  else
    scancel --signal=USR2 "$job"
  fi
  wait_until 90 "requeue $i" has_records "$i" 'type:"leave"'
  stage "requeue $i"
done
wait_until 120 "the end" has_ended "$job"
stage "ended"
state_of "$job"
expect "job" "$(field "$job" JobState) $(field "$job" Restarts)" "COMPLETED $requeues"
check_sweep 6 --resumed $((requeues * 3))
nobody_left
