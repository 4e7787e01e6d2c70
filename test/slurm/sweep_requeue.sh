#!/bin/bash
# The main path under Slurm: sbatch slurm/sweep.sbatch -> 2 nodes x 4 ranks -> requeued in the middle from outside ->
# again by itself after the signal that comes before a time limit -> finished -> collected. Every trial is done exactly
# once and no step is lost or run twice.
#   sweep_requeue.sh BIN_DIR
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
bin=$(realpath "${1:-$repository/build/release/bin}")
for program in regatta regatta-launch regatta-engine regatta-demo-data; do
  [ -x "$bin/$program" ] || skip "$bin/$program is missing"
done
export SLURMBOX_EXTRA="KillWait=60"   # 8 trials save at once on few cores
start_box --nodes 2 --gpus 4
cp "$repository/slurm/sweep.sbatch" "$work/"
# Programs that lie under /tmp are not seen by nodes with a /tmp of their own.
mkdir "$work/home"
cp -r "$bin" "$work/home/bin"
PATH=$work/home/bin:$PATH
export REGATTA_HOME=$work/home

regatta-demo-data "$work/scans" >/dev/null
python3 - "$work" <<'PY'
import json, sys
work = sys.argv[1]
data = json.load(open(f"{work}/scans/dataset.json"))
data["preprocess"] = {"spacing_mm": [10.0, 6.0, 10.0], "shape": [16, 32, 16]}
json.dump(data, open(f"{work}/scans/dataset.json", "w"))
recipe = {
    "schema": 1,
    "data": {"archive": "tiny.h5"},
    "model": {"name": "voxelmorph-custom", "options": {"encoder": [4, 4, 4, 4], "decoder": [4, 4, 4, 4, 4, 4, 4]}},
    "losses": {"mse": {"weight": 1.0}, "grad": {"weight": 0.05}},
    "train": {"steps": 80},
    "validation": {"every_epochs": 5, "metrics": ["dice"]},
    "checkpoint": {"every_s": 2.0},
    "run": {"device": "cpu", "threads": 1},
}
job = {"schema": 1, "name": "requeue", "recipe": recipe, "axes": {"/optim/lr": {"log": [1e-4, 1e-2]}},
       "sampler": "random", "trials": 10}
json.dump(job, open(f"{work}/job.json", "w"), indent=2)
PY
regatta pack "$work/scans/dataset.json" -o "$work/tiny.h5"
regatta plan "$work/job.json"

sweep=$work/sweep
trials_in_attempt() {   # ATTEMPT: how many trials have trained a step or more in it
  grep -lE '"kind":"train"' "$sweep"/trials/*/a"$1"/metrics.jsonl 2>/dev/null | wc -l
}
in_the_middle() { [ "$(trials_in_attempt "$1")" -ge 4 ]; }

job=$(sbatch --parsable --nodes=2 --cpus-per-task=1 --time=60 --output="$work/sweep.log" sweep.sbatch "$work/job.json" -o "$sweep")
wait_until 120 "4 trials in training" in_the_middle 1
scontrol requeue "$job"
wait_until 120 "4 resumed trials in training" in_the_middle 2
scancel --signal=USR2 "$job"
wait_until 180 "the end" has_ended "$job"
expect "job" "$(field "$job" JobState) $(field "$job" Restarts)" "COMPLETED 2"
expect "starts of the script" "$(grep -c '^sweep.sbatch: job' sweep.log)" 3

python3 - "$sweep" <<'PY'
import glob, json, sys
sweep = sys.argv[1]
records = [json.loads(line) for path in glob.glob(f"{sweep}/journal/*.jsonl") for line in open(path)]
hosts = {r["host"] for r in records if r["type"] == "start"}
assert hosts == {"node1", "node2"}, f"trials ran on {hosts}"
for number in range(10):
    folder = f"{sweep}/trials/t{number:05d}"
    mine = [r for r in records if r.get("trial") == number]
    ok = [r for r in mine if r["type"] == "end" and r["status"] == "ok"]
    assert len(ok) == 1, f"trial {number} ended {len(ok)} times with ok"
    assert json.load(open(f"{folder}/result.json")), f"trial {number} has no result"
    steps = []
    for path in sorted(glob.glob(f"{folder}/a*/metrics.jsonl")):
        steps += [line["step"] for line in map(json.loads, open(path)) if line["kind"] == "train"]
    assert steps == list(range(1, 81)), f"trial {number} ran the steps {steps}"
starts = sum(r["type"] == "start" for r in records)
resumed = sum(r["type"] == "start" and r["resume_step"] > 0 for r in records)
assert resumed >= 8, f"only {resumed} attempts resumed from a checkpoint"
print(f"ok: 10 trials done once each in {starts} attempts, {resumed} of them from a checkpoint; steps 1..80 without gap")
PY

regatta collect "$sweep" | tee collect.txt
expect "a sweep in which no trial beats the start says so" "$(grep -c "no trial beats the start" collect.txt)" 1
for file in report.json leaderboard.csv report.html; do
  [ -s "$sweep/$file" ] || fail "$file was not written"
done
expect "processes left on the nodes" "$(find /proc -maxdepth 2 -name exe -lname "$work/home/*" 2>/dev/null | wc -l)" 0
echo "sbatch, two requeues, finished, collected"
