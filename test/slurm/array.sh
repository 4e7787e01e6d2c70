#!/bin/bash
# `regatta submit --nodes 2`: an array of two jobs on one sweep. One element is requeued from outside, the other one
# cancelled; the requeued one takes over what the cancelled one leaves behind.
#   array.sh BIN_DIR [FAKE_WORKER]
# shellcheck source-path=SCRIPTDIR source=scenario.sh
. "$(dirname "$0")/scenario.sh"
export SLURMBOX_EXTRA="KillWait=30"   # all trials save at once on few cores
start_box --nodes 2 --gpus 4
make_job 10 250 50 20   # 12.5 s a trial
submit --nodes 2
wait_until 60 "8 trials with a checkpoint" has_records 8 'type:"checkpoint"'
stage "8 trials at work"
scontrol requeue "${job}_1"
wait_until 60 "the requeued element has saved" has_records 1 'type:"leave"'
stage "element 1 requeued from outside"
wait_until 60 "its second start" has_records 3 'type:"join"'
stage "element 1 again"
scancel "${job}_0"
wait_until 60 "the cancelled element has ended" job_is "${job}_0" CANCELLED
stage "element 0 cancelled"
wait_until 120 "the end" all_ended "$job"
stage "ended"
state_of "${job}_0"
state_of "${job}_1"
expect "element 0" "$(field "${job}_0" JobState) $(field "${job}_0" Restarts)" "CANCELLED 0"
expect "element 1" "$(field "${job}_1" JobState) $(field "${job}_1" Restarts)" "COMPLETED 1"
wait_until 60 "the report job" has_ended "$report"
expect "report job" "$(field "$report" JobState)" COMPLETED
check_sweep 10 --resumed 4
nobody_left
