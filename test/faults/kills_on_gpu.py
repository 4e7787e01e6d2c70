#!/usr/bin/env python3
"""Trainings that are killed at random end with the bytes of one that was not, on the GPU of this machine.

  kills_on_gpu.py ARCHIVE.h5 -o OUT.json [--models NAMES] [--kills N] [--steps N] [--seed N]

Of each network one training is left alone. A second one saves a checkpoint every 0.2 s, gets SIGKILL N times, each time
at a random moment after its first new checkpoint, and the same command is given again. Its weights must be the same,
and its result must say that it repeats and resumes bit by bit. The exit code is 1 if one differs.
"""
import argparse
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

START_S = 120   # until a first checkpoint


def recipe_of(archive, model, steps):
    return {"schema": 1, "data": {"archive": str(archive.resolve())}, "model": {"name": model},
            "losses": {"ncc": {}, "grad": {}}, "train": {"steps": steps}, "checkpoint": {"every_s": 0.2},
            "validation": {"every_epochs": 1000, "metrics": ["dice"], "best": "dice"}}


def start(recipe, place, log):
    return subprocess.Popen(["regatta", "train", str(recipe), "-o", str(place)], stdout=log, stderr=log)


def checkpoints(place):
    return {str(file) for file in place.glob("a*/checkpoints/*.safetensors")}


def killed_once(recipe, place, log, pause):
    """@return False if the training ended before it could be killed"""
    before = checkpoints(place)
    run = start(recipe, place, log)
    deadline = time.monotonic() + START_S
    while run.poll() is None and time.monotonic() < deadline and not checkpoints(place) - before:
        time.sleep(0.01)
    time.sleep(pause)
    alive = run.poll() is None
    if alive:
        run.send_signal(signal.SIGKILL)
    run.wait()
    return alive


def result_of(recipe, place, log):
    code = start(recipe, place, log).wait()
    if code != 0:
        sys.exit(f"{place}: exit code {code}\n{pathlib.Path(log.name).read_text()[-2000:]}")
    return json.loads((place / "result.json").read_text())


def row_of(archive, model, options, folder, draw):
    recipe = folder / f"{model}.json"
    recipe.write_text(json.dumps(recipe_of(archive, model, options.steps)))
    with (folder / f"{model}.log").open("w") as log:
        whole = result_of(recipe, folder / f"{model}-whole", log)
        place = folder / f"{model}-killed"
        kills = sum(killed_once(recipe, place, log, draw.uniform(0.0, 0.5)) for _ in range(options.kills))
        killed = result_of(recipe, place, log)
    said = [killed["determinism"], killed["resume"]]
    return {"model": model, "backend": killed["provenance"]["backend"], "steps": killed["steps"], "kills": kills,
            "attempts": killed["attempts"], "same_weights": killed["weights_xxh3"] == whole["weights_xxh3"],
            "determinism": said[0], "resume": said[1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=pathlib.Path)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="JSON file")
    parser.add_argument("--models", default="voxelmorph-2,lkunet,symnet,transmorph-small")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models.split(","):
            rows.append(row_of(options.archive, model, options, pathlib.Path(folder), draw))
            print(json.dumps(rows[-1]), flush=True)
    options.output.write_text(json.dumps(rows, indent=1) + "\n")
    good = all(r["same_weights"] and r["kills"] > 0 and (r["determinism"], r["resume"]) == ("bitwise",) * 2
               for r in rows)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
