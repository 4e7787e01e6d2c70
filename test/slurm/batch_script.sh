#!/bin/bash
# slurm/sweep.sbatch in a real Slurm of 2 nodes with a stand-in for the program: what it does at a save before the
# time limit, an outside requeue, scancel, a failure, and when it may not requeue any more.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
start_box --nodes 2 --gpus 4 --fasttick
mkdir -p "$work/home/bin"
cp "$here/standin/regatta" "$work/home/bin/"
cp "$repository/slurm/sweep.sbatch" "$work/"
export REGATTA_HOME=$work/home

submit() {   # NAME [CODE]
  mkdir -p "$work/$1"
  sbatch --parsable --nodes=2 --cpus-per-task=1 --time=60 --job-name="$1" --output="$work/$1.log" sweep.sbatch "$work/$1" "${@:2}"
}
has_restarted() { [ "$(field "$1" Restarts)" -ge 1 ]; }
started() { [ "$(grep -c "^restart $2 .* from step" "$work/$1.log" 2>/dev/null)" = 8 ]; }

job=$(submit saved)
wait_until 60 "8 ranks" started saved 0
expect "each rank sees its node's GPUs" "$(grep -c 'GPUs 0,1,2,3' saved.log)" 8
scancel --signal=USR2 "$job"   # as --signal=USR2@300 does before the time limit
wait_until 120 "the end" has_ended "$job"
expect "saved: state" "$(field "$job" JobState) $(field "$job" Restarts)" "COMPLETED 1"
expect "saved: ranks that saved" "$(grep -c 'saved step .* after USR2' saved.log)" 8
expect "saved: ranks that continued" "$(grep -c '^restart 1 .* from step [1-9]' saved.log)" 8

job=$(STANDIN_STEPS=900 submit limited)
wait_until 60 "8 ranks" started limited 0
scontrol update job="$job" TimeLimit=5   # as long as the warning: due at Slurm's next look. Before the ranks run it would be lost
wait_until 60 "a requeue" has_restarted "$job"
scancel "$job"
wait_until 60 "the end" has_ended "$job"
expect "limited: signalled by Slurm itself, requeued" "$([ "$(grep -c 'saved step .* after USR2' limited.log)" -ge 8 ] && echo yes)" yes

job=$(submit requeued)
wait_until 60 "8 ranks" started requeued 0
scontrol requeue "$job"
wait_until 120 "the end" has_ended "$job"
expect "requeued: state" "$(field "$job" JobState) $(field "$job" Restarts)" "COMPLETED 1"
expect "requeued: ranks that continued" "$(grep -c '^restart 1 .* from step [1-9]' requeued.log)" 8

job=$(submit cancelled)
wait_until 60 "8 ranks" started cancelled 0
scancel "$job"
wait_until 60 "the end" has_ended "$job"
expect "cancelled: state" "$(field "$job" JobState) $(field "$job" Restarts)" "CANCELLED 0"
expect "cancelled: ranks that saved" "$(grep -c 'saved step .* after TERM' cancelled.log)" 8

job=$(submit failing 2)
wait_until 60 "the end" has_ended "$job"
expect "failing: state" "$(field "$job" JobState) $(field "$job" ExitCode)" "FAILED 2:0"

job=$(submit killed 137)
wait_until 60 "the end" has_ended "$job"
expect "killed: state" "$(field "$job" JobState) $(field "$job" ExitCode) $(field "$job" Restarts)" "FAILED 137:0 0"
expect "killed: tried once more" "$(grep -c 'once more in 15 s' killed.log)" 1

job=$(submit gainless 86)
wait_until 60 "the end" has_ended "$job"
expect "gainless: state" "$(field "$job" JobState) $(field "$job" ExitCode) $(field "$job" Restarts)" "FAILED 86:0 0"
expect "gainless: a line says why" "$(grep -c 'gained nothing: not requeued' gainless.log)" 1

export REGATTA_MAX_REQUEUES=0
job=$(submit enough)
wait_until 60 "8 ranks" started enough 0
scancel --signal=USR2 "$job"
wait_until 60 "the end" has_ended "$job"
expect "no more requeues: state" "$(field "$job" JobState) $(field "$job" ExitCode)" "FAILED 85:0"
echo "all checks of slurm/sweep.sbatch passed"
