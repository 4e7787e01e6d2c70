#!/bin/bash
# Jobs of a partition that a higher one pre-empts: saved within GraceTime, requeued, finished when the nodes are free.
#   preemption.sh BIN_DIR [FAKE_WORKER]
# shellcheck source-path=SCRIPTDIR source=scenario.sh
. "$(dirname "$0")/scenario.sh"
export SLURMBOX_EXTRA="KillWait=30"
start_box --nodes 2 --gpus 4
make_job 8 200 50 1000   # 10 s a trial; nothing is saved unless told to
submit --nodes 2 --partition low
wait_until 60 "8 trials at work" has_records 8 'type:"start"'
sleep 2
stage "8 trials at work"
high=$(sbatch --parsable --partition=high --nodes=2 --ntasks-per-node=1 --gpus-per-node=4 --output="$work/high.log" --wrap="sleep 3")
wait_until 60 "the high job runs" job_is "$high" RUNNING COMPLETED
stage "pre-empted by job $high"
expect "elements that left in order" "$(records 'type:"leave"')" 2
expect "trials that saved" "$(records 'type:"end"' 'status:"paused"')" 8
wait_until 120 "the end" all_ended "$job"
stage "ended"
for element in 0 1; do
  state_of "${job}_$element"
  expect "element $element" "$(field "${job}_$element" JobState) $(field "${job}_$element" Restarts)" "COMPLETED 1"
done
wait_until 60 "the report job" has_ended "$report"
check_sweep 8 --resumed 8
nobody_left
