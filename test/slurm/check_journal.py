#!/usr/bin/env python3
"""What the journal of a finished sweep proves, with the pretended trials' own notes (test/e2e/fake_worker.cpp).

  check_journal.py SWEEP TRIALS [--resumed N]   every trial ended ok exactly once and has its result; every start continued
                                                from the newest checkpoint that an earlier attempt had published; no two
                                                attempts at once; --resumed: at least N starts from a checkpoint
"""
import argparse
import collections
import json
import pathlib
import sys


def read_records(sweep):
    """All whole records, ordered by shard and sequence number."""
    records = []
    for path in sorted(pathlib.Path(sweep).glob("journal/*.jsonl")):
        for line in path.read_bytes().split(b"\n"):
            try:
                records.append(json.loads(line))
            except ValueError:
                continue  # torn by a kill, or the empty end
    return records


def check_trial(sweep, number, records):
    """@return (attempts, starts from a checkpoint, steps of the result, steps trained in all)"""
    folder = sweep / "trials" / f"t{number:05d}"
    mine = [record for record in records if record.get("trial") == number]
    ends = [record for record in mine if record["type"] == "end" and record["status"] == "ok"]
    assert len(ends) == 1, f"trial {number} ended {len(ends)} times with ok"
    result = json.loads((folder / "result.json").read_text())
    assert result["steps"] == ends[0]["step"], f"trial {number}: result of step {result['steps']}, end {ends[0]['step']}"
    assert not (folder / "violation").exists(), f"trial {number}: two attempts ran at once"

    published = collections.defaultdict(int)
    for record in mine:
        if record["type"] == "checkpoint":
            published[record["attempt"]] = max(published[record["attempt"]], record["step"])
    reached = {record["attempt"]: record["step"] for record in mine if record["type"] == "end"}
    began = [tuple(map(int, line.split())) for line in (folder / "starts.log").read_text().splitlines()]
    attempts = [attempt for attempt, _ in began]
    assert attempts == sorted(set(attempts)), f"trial {number}: attempts began in the order {attempts}"
    trained = 0
    for i, (attempt, step) in enumerate(began):
        newest = max([0] + [published[before] for before in attempts[:i]])
        assert step >= newest, f"trial {number} attempt {attempt} began at step {step}, checkpoint {newest} stood"
        last = began[i + 1][1] if i + 1 < len(began) else result["steps"]
        assert last >= step, f"trial {number}: attempt {attempt} began at {step}, the next one at {last}"
        trained += max(reached.get(attempt, last), last) - step
    finished = [attempt for attempt in attempts if reached.get(attempt) == result["steps"]]
    assert len(finished) <= 1, f"trial {number} ran to its end in the attempts {finished}"
    return len(began), sum(step > 0 for _, step in began), result["steps"], trained


def check(arguments):
    sweep = pathlib.Path(arguments.sweep)
    records = read_records(sweep)
    trials = arguments.trials
    found = {record["trial"] for record in records if "trial" in record}
    assert found == set(range(trials)), f"the journal has the trials {sorted(found)}, expected {trials}"
    rows = [check_trial(sweep, number, records) for number in range(trials)]
    resumed = sum(row[1] for row in rows)
    assert resumed >= arguments.resumed, f"{resumed} starts from a checkpoint, expected {arguments.resumed}"
    joins = [record for record in records if record["type"] == "join"]
    jobs = collections.Counter(record["job"] for record in joins)
    statuses = collections.Counter(record["status"] for record in records if record["type"] == "end")
    lost = sum(record["type"] == "start" and record["seen"] == "lost" for record in records)
    print(f"ok: {trials} trials ended ok once each in {sum(row[0] for row in rows)} attempts, {resumed} of them from a "
          f"checkpoint, {lost} after a lost one; none twice at once")
    print(f"ok: steps without gap; {sum(row[2] for row in rows)} steps needed, {sum(row[3] for row in rows)} trained as "
          f"far as the journal tells")
    print(f"    jobs and their starts: {dict(jobs)}; ends: {dict(statuses)}; records: {len(records)} in "
          f"{len(list(sweep.glob('journal/*.jsonl')))} shards")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep")
    parser.add_argument("trials", type=int)
    parser.add_argument("--resumed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        check(arguments)
    except AssertionError as fault:
        sys.exit(f"FAILED: {arguments.sweep}: {fault}")


if __name__ == "__main__":
    main()
