#!/bin/bash
# What a person is told under Slurm: a time limit that cannot work is refused, the queue is shown, the command that
# continues is right after a stop, also for a copied folder, and a finished sweep is not queued again.
#   what_next.sh BIN_DIR [FAKE_WORKER]
# shellcheck source-path=SCRIPTDIR source=scenario.sh
. "$(dirname "$0")/scenario.sh"
start_box --nodes 2 --gpus 4
make_job 6 400 50 20   # 20 s per trial
PATH=$bin:$PATH

jobs_in_queue() { squeue --noheader --all --array | wc -l; }

said=$(regatta submit job.json -o "$sweep" --cpus-per-gpu 1 --time 3 --signal-s 60 2>&1) && fail "a limit of 3 minutes was taken"
expect "too short: arithmetic" "$(grep -c 'together 220 s. Give --time 00:04:00 or more, or --signal-s 20 or less' <<<"$said")" 1
expect "too short: queued" "$(jobs_in_queue)" 0
expect "too short: folder" "$(find "$sweep" 2>/dev/null | wc -l)" 0

alone=$(REGATTA_HOME=$(dirname "$bin") REGATTA_SIGNAL_S=60 sbatch --parsable --time=3 --signal=USR2@60 --cpus-per-task=1 \
  --output="$work/alone.log" "$repository/slurm/sweep.sbatch" "$work/job.json" -o "$work/alone")
wait_until 60 "the end of a job of sbatch alone" has_ended "$alone"
expect "sbatch alone, too short" "$(field "$alone" JobState) $(field "$alone" ExitCode) $(field "$alone" Restarts)" "FAILED 86:0 0"
expect "sbatch alone: why" "$(grep -c 'the time limit leaves 2 min 00 s until the signal to save, too short for any trial' alone.log)" 1
expect "sbatch alone: command" "$(grep -c "no trial was started.*: regatta submit $work/alone --time 00:03:00 .*--signal-s 60" alone.log)" 1

submit --no-collect --time 30min --nodes 2
expect "job name" "$(squeue --noheader --format=%j --jobs "$job" | sort -u)" scenario
wait_until 60 "checkpoints" has_records 4 'type:"checkpoint"'
said=$(regatta status "$sweep")
expect "status: running jobs" "$(grep -cE "${job}_[01]  RUNNING on node[12] for .* of 30:00" <<<"$said")" 2
expect "status: command" "$(grep -c "regatta submit $sweep --nodes 2 --time 30min --cpus-per-gpu 1 --no-collect" <<<"$said")" 1
regatta stop "$sweep"
wait_until 90 "the end" all_ended "$job"
stage "stopped"
expect "log: command" "$(cat "$sweep"/slurm/scenario-[0-9]*.log | grep -c "saved; continues when the job runs again, or with: regatta submit $sweep --nodes 2")" 2
said=$(regatta status "$sweep")
expect "status: no job left" "$(grep -c "^queue: no Slurm job of this sweep is in it any more ($job)" <<<"$said")" 1

cp -r "$sweep" "$work/copy"
said=$(regatta status "$work/copy")
expect "copy: command" "$(grep -c "regatta submit $work/copy --nodes 2" <<<"$said")" 1
again=$(sed -n 's/.*\(regatta submit .*\)/\1/p' <<<"$said" | head -n 1)
said=$(bash -c "$again") || fail "$again: $said"
job=$(sed -n 's/^jobs *\([0-9]*\).*/\1/p' <<<"$said")
wait_until 120 "the copy's end" all_ended "$job"
said=$(regatta status "$sweep")
expect "the original was left alone" "$(grep -cE "6 trials done|of 6 trials done: 0 ok" <<<"$said")" 1

sweep=$work/copy
before=$(find "$sweep/journal" -name '*.jsonl' | wc -l)
said=$(regatta submit "$sweep" --cpus-per-gpu 1) || fail "submit of a finished sweep: $said"
expect "finished: said" "$(grep -c 'all trials of this sweep have ended: nothing was queued' <<<"$said")" 1
expect "finished: leaderboard" "$(grep -c 't0000[0-5]' <<<"$said" | awk '{print ($1 >= 6) ? "yes" : "no"}')" yes
expect "finished: queued" "$(jobs_in_queue)" 0
expect "finished: records" "$(find "$sweep/journal" -name '*.jsonl' | wc -l)" "$before"
check_sweep 6 --resumed 1
nobody_left
