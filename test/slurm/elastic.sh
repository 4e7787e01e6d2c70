#!/bin/bash
# Three jobs join one sweep at random moments. All processes of one are killed with SIGKILL on its node: its script starts
# the step once more. Another one leaves at will. All trials finish.
#   elastic.sh BIN_DIR [FAKE_WORKER]
# shellcheck source-path=SCRIPTDIR source=scenario.sh
. "$(dirname "$0")/scenario.sh"
export SLURMBOX_EXTRA="KillWait=30"
start_box --nodes 2 --gpus 4
RANDOM=${SEED:=$$}
echo "SEED=$SEED"
pause() { sleep "$((RANDOM % 3)).$((RANDOM % 10))"; }
make_job 9 300 50 20   # 15 s a trial
join() { submit --gpus-per-node 2 --no-collect "$@" -- --times '{"stale_s": 12, "stop_s": 8, "heartbeat_s": 2}'; }
join
stays=$job
pause
join --sbatch=--nodelist=node2
killed=$job
pause
join
leaves=$job
wait_until 60 "three jobs" has_records 3 'type:"join"'
wait_until 60 "6 trials at work" has_records 6 'type:"checkpoint"'
pause
stage "three jobs at work"
mapfile -t victims < <(pids_of_job "$killed" regatta-launch fake_worker)
[ "${#victims[@]}" -ge 4 ] || fail "job $killed has the processes ${victims[*]}"
kill -KILL "${victims[@]}"
tried_again() { grep -q 'once more in 15 s' "$sweep/slurm/scenario-$killed.log"; }
wait_until 60 "the end of the killed step" tried_again
stage "job $killed: ${#victims[@]} processes killed"
pause
scancel "$leaves"
wait_until 60 "the end of the cancelled job" has_ended "$leaves"
stage "job $leaves cancelled"
wait_until 150 "the end" has_ended "$stays"
stage "ended"
expect "job that stays" "$(field "$stays" JobState)" COMPLETED
wait_until 60 "the end of the killed job" has_ended "$killed"
expect "job that was killed" "$(field "$killed" JobState) $(field "$killed" Restarts)" "COMPLETED 0"
expect "job that left" "$(field "$leaves" JobState)" CANCELLED
for job in "$stays" "$killed" "$leaves"; do state_of "$job"; done
check_sweep 9 --resumed 3
nobody_left
