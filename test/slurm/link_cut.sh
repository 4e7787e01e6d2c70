#!/bin/bash
# The network of a node is cut under a job of two nodes; processes on it live on and can still write. Slurm requeues the
# job on another node. Its earlier trials are taken over only once the cut-off ranks, without word from rank 0, have
# stopped them: no trial runs twice at once.
#   link_cut.sh BIN_DIR [FAKE_WORKER]
# shellcheck source-path=SCRIPTDIR source=scenario.sh
. "$(dirname "$0")/scenario.sh"
[ "$(id -u)" = 0 ] || skip "network namespaces need root"
start_box --nodes 3 --gpus 4 --iso net
make_job 10 250 100 10   # 25 s a trial
submit --nodes 2 --single-job -- --times '{"stop_s": 24, "stale_s": 40, "heartbeat_s": 5}'
wait_until 60 "8 trials with a checkpoint" has_records 8 'type:"checkpoint"'
cut=$(sed -n 's/.*"host":"\(node[0-9]\)".*/\1/p' <(cat "$sweep"/journal/*.jsonl | grep '"type":"start"') | sort -u | tail -n 1)
stage "8 trials at work"
"$here/box/slurmbox.sh" link "$box" "$cut" down
stage "link of $cut is down"
scontrol update "nodename=$cut" state=down reason=cut   # else Slurm notices after SlurmdTimeout
workers_there() { pids_of_job "$job" fake_worker | while read -r pid; do grep -qzxF "SLURMD_NODENAME=$cut" "/proc/$pid/environ" 2>/dev/null && echo "$pid"; done | wc -l; }
none_there() { [ "$(workers_there)" = 0 ]; }
expect "trials at work on the cut-off node" "$(workers_there)" 4
wait_until 90 "the second start" has_records 2 'type:"join"'
stage "started again; trials at work on $cut: $(workers_there)"
wait_until 90 "the cut-off trials are stopped" none_there
stage "trials at work on $cut: 0"
wait_until 180 "the end" has_ended "$job"
stage "ended"
state_of "$job"
expect "job" "$(field "$job" JobState) $(field "$job" Restarts)" "COMPLETED 1"
wait_until 60 "the report job" has_ended "$report"
check_sweep 10 --resumed 8
"$here/box/slurmbox.sh" link "$box" "$cut" up
