#!/bin/bash
# A real time limit: `regatta submit` -> signalled before it -> saved -> requeued by itself -> finished, and the
# dependent report job ran after that.
#   time_limit.sh BIN_DIR [FAKE_WORKER]
# shellcheck source-path=SCRIPTDIR source=scenario.sh
. "$(dirname "$0")/scenario.sh"
start_box --nodes 2 --gpus 4 --fasttick
make_job 5 500 50 100   # 25 s a trial, asked to save after about 20
# Trials are not begun that could not load, work and save: for a limit of one minute these times must be short, too.
submit --time 1 --signal-s 10 -- --times '{"signal_early_s": 32, "load_s": 0.5, "save_s": 0.5, "least_work_s": 1}'
wait_until 90 "leaving at Slurm's signal" has_records 1 'type:"leave"'
stage "saved"
wait_until 60 "the second start" has_records 2 'type:"join"'
stage "again"
wait_until 120 "the end" has_ended "$job"
stage "ended"
state_of "$job"
expect "job" "$(field "$job" JobState)" COMPLETED
expect "put itself back" "$(grep -c 'saved, and back in the queue' "$sweep"/slurm/scenario-[0-9]*.log)" "$(field "$job" Restarts)"
wait_until 60 "the report job" has_ended "$report"
state_of "$report"
expect "report job" "$(field "$report" JobState)" COMPLETED
expect "trials in report.json" "$(python3 -c 'import json, sys; print(len(json.load(open(sys.argv[1]))["trials"]))' "$sweep/report.json")" 5
check_sweep 5 --resumed 1
nobody_left
