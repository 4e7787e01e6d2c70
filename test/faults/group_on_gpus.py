#!/usr/bin/env python3
"""One training on two GPUs of this machine beside the same on one: same curve, same bytes again, speed, kills.

  group_on_gpus.py ARCHIVE.h5 -o OUT.json [--models NAMES] [--steps N] [--seconds N]

In this order, until the seconds (480) are used up, when what still runs is ended: the bandwidth between both GPUs
(all-reduce of 256 MiB by NCCL, by PyTorch); one training of TransMorph with a batch of 2, on one GPU, on two, and on two
again; a kill of one process, resumed; the same training of LKU-Net; independent trainings of each network of --models,
one and then two at a time. Step times are the medians of the lines of metrics.jsonl, without the first third. The exit
code is 1 if a check fails or a part is left out. `regatta` must be in PATH, `python3` must have PyTorch.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
FLOOR = 150.0    # GB/s between the GPUs, from which on the efficiency is judged
EFFICIENCY = {"independent": 0.975, "together": 0.92}

BANDWIDTH = r"""
import os, sys, time, torch, torch.distributed as dist
rank = int(os.environ["RANK"]); torch.cuda.set_device(rank)
dist.init_process_group("nccl", device_id=torch.device("cuda", rank))
x = torch.ones(64 << 20, device="cuda")
for _ in range(5): dist.all_reduce(x)
torch.cuda.synchronize(); begin = time.perf_counter()
for _ in range(20): dist.all_reduce(x)
torch.cuda.synchronize(); seconds = (time.perf_counter() - begin) / 20
if rank == 0: print(x.numel() * 4 / seconds / 1e9)
dist.destroy_process_group()
"""


class OutOfTime(Exception):
    pass


class Clock:
    """Until when all must be done; ends what runs then."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def wait(self, run):
        try:
            return run.wait(timeout=max(0.1, self.end - time.monotonic()))
        except subprocess.TimeoutExpired:
            run.kill()   # its members end with it
            run.wait()
            raise OutOfTime from None


CLOCK = Clock(0)


def bandwidth(folder):
    script = folder / "bandwidth.py"
    script.write_text(BANDWIDTH)
    runs = []
    for rank in range(2):
        env = dict(os.environ, RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT="29511")
        runs.append(subprocess.Popen([sys.executable, str(script)], env=env, stdout=subprocess.PIPE, text=True))
    try:
        text = [run.communicate(timeout=120)[0] for run in runs]
    except subprocess.TimeoutExpired:
        for run in runs:
            run.kill()
        sys.exit("the sum between both GPUs by PyTorch did not end in 120 s")
    return float(text[0])   # of an all-reduce between two, bus bandwidth is the algorithm's


def recipe_of(archive, model, steps, batch):
    return {"schema": 1, "data": {"archive": str(archive.resolve())}, "model": {"name": model},
            "losses": {"ncc": {}, "grad": {}}, "train": {"steps": steps, "batch": batch},
            "run": {"loss_every_steps": max(1, steps // 60)}, "checkpoint": {"every_s": 0, "every_steps": steps // 3},
            "validation": {"every_epochs": 100000, "at_start": False, "metrics": ["dice"], "best": "dice"}}


def start(folder, archive, model, steps, batch, name, gpus=1, visible=None):
    recipe = folder / f"{name}.json"
    recipe.write_text(json.dumps(recipe_of(archive, model, steps, batch)))
    env = dict(os.environ)
    if visible is not None:
        env["CUDA_VISIBLE_DEVICES"] = str(visible)
    more = ["--gpus", str(gpus)] if gpus > 1 else []
    log = (folder / f"{name}.log").open("w")
    return subprocess.Popen(["regatta", "train", str(recipe), "-o", str(folder / name), *more], env=env, stdout=log,
                            stderr=log)


def finish(run, folder, name):
    if CLOCK.wait(run) != 0:
        logs = [folder / f"{name}.log", *sorted((folder / name).glob("a*/log*.txt"))]
        sys.exit(f"{name}: exit code {run.returncode}\n" + "\n".join(log.read_text()[-1500:] for log in logs))
    lines = []
    for file in sorted((folder / name).glob("a*/metrics.jsonl")):
        lines += [json.loads(line) for line in file.read_text().splitlines()]
    lines = [line for line in lines if line["kind"] == "train"]
    return {"ms": statistics.median(line["ms_per_step"] for line in lines[len(lines) // 3:]),
            "totals": [line["values"]["total"] for line in lines],
            "weights": json.loads((folder / name / "result.json").read_text())["weights_xxh3"]}


def independent(folder, archive, model, steps):
    alone = finish(start(folder, archive, model, steps, 1, f"{model}-alone", visible=0), folder, f"{model}-alone")
    runs = [start(folder, archive, model, steps, 1, f"{model}-{gpu}", visible=gpu) for gpu in range(2)]
    try:
        both = [finish(run, folder, f"{model}-{gpu}") for gpu, run in enumerate(runs)]
    finally:
        for run in runs:
            run.kill()
    rate = sum(1.0 / one["ms"] for one in both)
    return {"kind": "independent", "model": model, "ms_alone": alone["ms"], "ms_both": [one["ms"] for one in both],
            "efficiency": rate * alone["ms"] / 2}


def together(folder, archive, model, steps):
    one = finish(start(folder, archive, model, steps, 2, f"{model}-one", visible=0), folder, f"{model}-one")
    two = finish(start(folder, archive, model, steps, 2, f"{model}-two", gpus=2), folder, f"{model}-two")
    again = finish(start(folder, archive, model, steps, 2, f"{model}-again", gpus=2), folder, f"{model}-again")
    first = max(1, len(one["totals"]) // 10)
    apart = [abs(a - b) for a, b in zip(one["totals"], two["totals"])]
    return {"kind": "together", "model": model, "ms_one": one["ms"], "ms_two": two["ms"],
            "efficiency": one["ms"] / two["ms"] / 2, "most_apart_first_tenth": max(apart[:first]),
            "most_apart": max(apart), "curve_one": one["totals"], "curve_two": two["totals"],
            "same_bytes_again": two["weights"] == again["weights"], "weights": two["weights"]}


def killed(folder, archive, model, steps, weights):
    name = f"{model}-killed"
    run = start(folder, archive, model, steps, 2, name, gpus=2)
    while run.poll() is None and not list((folder / name).glob("a*/checkpoints/*.safetensors")):
        if time.monotonic() > CLOCK.end:
            break
        time.sleep(0.01)
    children = pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    begin = time.monotonic()
    if len(children) == 2:
        os.kill(int(children[1]), 9)
    code = CLOCK.wait(run)
    seconds = time.monotonic() - begin
    end = finish(start(folder, archive, model, steps, 2, name, gpus=2), folder, name)
    return {"kind": "killed", "model": model, "killed": len(children) == 2, "code": code, "seconds": seconds,
            "same_weights": end["weights"] == weights}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=pathlib.Path)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="JSON file, written after each part")
    parser.add_argument("--models", default="voxelmorph-2,transmorph", help="trained independently")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=480.0, help="in all")
    options = parser.parse_args()
    CLOCK.end = time.monotonic() + options.seconds
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        parts = [lambda: {"kind": "bandwidth", "gb_per_s": bandwidth(folder)}]
        weights = {}

        def train_together(model):
            row = together(folder, options.archive, model, options.steps)
            weights[model] = row.pop("weights")
            return row

        parts.append(lambda: train_together("transmorph"))
        parts.append(lambda: killed(folder, options.archive, "transmorph", options.steps, weights["transmorph"]))
        parts.append(lambda: train_together("lkunet"))
        for model in options.models.split(","):
            parts.append(lambda model=model: independent(folder, options.archive, model, options.steps))
        for number, part in enumerate(parts):
            try:
                rows.append(part())
            except OutOfTime:
                rows.append({"kind": "left out", "parts": len(parts) - number})
                break
            options.output.write_text(json.dumps(rows, indent=1) + "\n")
            shown = {key: value for key, value in rows[-1].items() if not key.startswith("curve")}
            print(json.dumps(shown), flush=True)
    options.output.write_text(json.dumps(rows, indent=1) + "\n")
    fast_link = any(row["kind"] == "bandwidth" and row["gb_per_s"] >= FLOOR for row in rows)
    bad = [row for row in rows
           if row.get("same_bytes_again") is False or row.get("same_weights") is False or row["kind"] == "left out"
           or row.get("killed") is False
           or (row["kind"] == "independent" and row["efficiency"] < EFFICIENCY["independent"])
           or (row["kind"] == "together" and row["model"] == "transmorph" and fast_link
               and row["efficiency"] < EFFICIENCY["together"])]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
