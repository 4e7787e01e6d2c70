# shellcheck shell=bash
# For the scenarios of this folder: sweeps whose trials are pretended (test/e2e/fake_worker.cpp), handed in by
# `regatta submit`, in a Slurm box; what Slurm says at each stage goes into the output. Sourced.
#   SCENARIO.sh BIN_DIR [FAKE_WORKER]
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
bin=$(realpath "${1:-$repository/build/release/bin}")
REGATTA_WORKER=$(realpath "${2:-$bin/../test/e2e/fake_worker}")
export REGATTA_WORKER
for program in "$bin/regatta" "$bin/regatta-launch" "$REGATTA_WORKER"; do
  [ -x "$program" ] || skip "$program is missing"
done
[[ $bin != /tmp/* ]] || skip "$bin lies under /tmp, which the nodes have each for themselves"
begin=$SECONDS

stage() {   # TEXT: with the time, and what Slurm says
  echo "--- $((SECONDS - begin)) s, $(date -u +%H:%M:%S): $*"
  squeue --noheader --all --array --format="    job %i %j: %T %R" 2>/dev/null || true
  sinfo --noheader --Node --format="    %N %T" --partition=main 2>/dev/null | paste -s -d ' ' || true
}

all_ended() {   # JOB: all elements of an array
  local states
  states=$(scontrol show job "$1" -o | grep -oE " JobState=[A-Z_]*" | cut -d= -f2)
  ! grep -qvE '^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL)$' <<<"$states"
}

state_of() {   # JOB: as scontrol says
  echo "    job $1: $(field "$1" JobState), restarts $(field "$1" Restarts), exit code $(field "$1" ExitCode)"
}

make_job() {   # TRIALS STEPS MS CHECKPOINT_EVERY [MODES]: job.json, and what the pretended trials do
  sweep=$work/sweep
  python3 - "$work/job.json" "$1" <<'PY'
import json, sys
rates = [round(1e-4 * (i + 1), 6) for i in range(int(sys.argv[2]))]
job = {"name": "scenario", "recipe": {"data": {"archive": "none.h5"}, "losses": {"ncc": {}}},
       "axes": {"/optim/lr": {"list": rates}}}
json.dump(job, open(sys.argv[1], "w"), indent=1)
PY
  export REGATTA_FAKE="{\"steps\": $2, \"ms\": $3, \"checkpoint_every\": $4, \"modes\": ${5:-{\}}}"
}

submit() {   # [options]: regatta submit job.json; sets $job and $report
  local said
  said=$("$bin/regatta" submit "$work/job.json" -o "$sweep" --cpus-per-gpu 1 "$@") || fail "regatta submit: $said"
  job=$(sed -n 's/^jobs *\([0-9]*\).*/\1/p' <<<"$said")
  report=$(sed -n 's/^report *\([0-9]*\).*/\1/p' <<<"$said")
  stage "submitted: $*: job $job, report ${report:-none}"
}

records() {   # [NAME:VALUE...]: how many journal records have all these members, as in type:'"leave"' or trial:3
  local pattern found
  found=$(cat "$sweep"/journal/*.jsonl 2>/dev/null) || true
  for pattern in "$@"; do
    found=$(grep -F "\"${pattern%%:*}\":${pattern#*:}" <<<"$found") || true
  done
  grep -c . <<<"$found" || true
}

has_records() {   # N [NAME:VALUE...]
  [ "$(records "${@:2}")" -ge "$1" ]
}

check_sweep() {   # TRIALS [options of check_journal.py]
  stage "checked"
  python3 "$here/check_journal.py" "$sweep" "$@"
}

pids_of_job() {   # JOB NAME...: processes of a job by the names of their programs
  local folder name
  for folder in /proc/[0-9]*; do
    grep -qzxF "SLURM_JOB_ID=$1" "$folder/environ" 2>/dev/null || continue
    for name in "${@:2}"; do
      [ "$(cat "$folder/comm" 2>/dev/null)" != "$name" ] || echo "${folder#/proc/}"
    done
  done
}

nobody_left() {
  expect "processes left on the nodes" "$(find /proc -maxdepth 2 -name exe \( -lname "$bin/regatta*" -o -lname "$REGATTA_WORKER" \) 2>/dev/null |
    while read -r exe; do grep -qzxF "SLURM_CONF=$SLURM_CONF" "$(dirname "$exe")/environ" 2>/dev/null && echo "$exe"; done | wc -l)" 0
}
