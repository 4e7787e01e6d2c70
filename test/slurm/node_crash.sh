#!/bin/bash
# A node crashes under a sweep: of two jobs of one node each, the other one takes the lost trials over and the requeued
# one finds nothing left to do; a job of two nodes is requeued by Slurm, waits for the node, and continues.
#   node_crash.sh BIN_DIR [FAKE_WORKER]
# shellcheck source-path=SCRIPTDIR source=scenario.sh
. "$(dirname "$0")/scenario.sh"
start_box --nodes 2 --gpus 4
crash() {   # NODE: and Slurm is told, which would else notice after SlurmdTimeout
  "$here/box/slurmbox.sh" node-crash "$box" "$1"
  scontrol update "nodename=$1" state=down reason=crash
  stage "$1 has crashed"
}
node_is_back() { [ "$(sinfo -h -n "$1" -o %T -p main)" = idle ]; }

make_job 8 240 50 20   # 12 s a trial
submit --nodes 2 -- --times '{"stale_s": 10, "stop_s": 8, "heartbeat_s": 2}'
wait_until 60 "8 trials with a checkpoint" has_records 8 'type:"checkpoint"'
stage "8 trials at work"
crash node2
wait_until 120 "the end" all_ended "$job"
stage "ended"
state_of "${job}_0"
state_of "${job}_1"
expect "states" "$(field "${job}_0" JobState) $(field "${job}_1" JobState)" "COMPLETED COMPLETED"
wait_until 60 "the report job" has_ended "$report"
check_sweep 8 --resumed 4

"$here/box/slurmbox.sh" node-start "$box" node2
wait_until 60 "node2" node_is_back node2
sweep=$work/sweep2
submit --nodes 2 --single-job
wait_until 60 "8 trials with a checkpoint" has_records 8 'type:"checkpoint"'
stage "one job of two nodes, 8 trials at work"
crash node2
wait_until 60 "the job waits" job_is "$job" PENDING
stage "waits for a node"
"$here/box/slurmbox.sh" node-start "$box" node2
wait_until 120 "the end" has_ended "$job"
stage "ended"
state_of "$job"
expect "job" "$(field "$job" JobState) $(field "$job" Restarts)" "COMPLETED 1"
wait_until 60 "the report job" has_ended "$report"
check_sweep 8 --resumed 8
nobody_left
