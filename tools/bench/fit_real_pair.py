#!/usr/bin/env python3
"""Trains every network on one real pair on the CPU and keeps what came of it: proof that each trains, not only runs.

usage: fit_real_pair.py PROGRAMS ARCHIVE OUT.json [--steps N] [--lr X] [--side-by-side K] [--networks a,b,...]

PROGRAMS is the folder with regatta-engine, ARCHIVE what `regatta pack` makes of tools/bench/real_pair.py's data set. Loss
(NCC 9 and L2 diffusion), NCC and Dice before and after, and the whole curve of each network go into OUT.json.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import tempfile
import time

# Networks whose parameters depend on the size, or whose default form is not one to train a small pair with.
OPTIONS = {
    "transmorph-affine": {"size": [64, 96, 64]},
    "lkunet-affine": {"size": [64, 96, 64]},
}
# Attention windows of the volume's size / 32, as the papers have it.
WINDOW = {"window": [2, 3, 2]}


def recipe_of(network, archive, args):
    options = dict(OPTIONS.get(network, WINDOW if network.startswith("transmorph") else {}))
    return {
        "data": {"archive": str(archive)},
        "model": {"name": network, "options": options},
        "losses": {"ncc": {"weight": 1.0}, "grad": {"weight": args.smoothness}},
        "optim": {"lr": args.lr, "schedule": "constant"},
        "train": {"steps": args.steps, "seed": 1},
        "validation": {"every_epochs": max(1, args.steps // 6), "metrics": ["dice", "ncc", "folding"], "best": "dice"},
        "run": {"device": "cpu", "threads": args.threads, "log_every_s": 0.1},
    }


def fit(network, args, folder):
    root = folder / network
    root.mkdir()
    recipe = root / "recipe.json"
    recipe.write_text(json.dumps(recipe_of(network, args.archive.resolve(), args), indent=2))
    begin = time.time()
    done = subprocess.run([args.programs / "regatta-engine", "train", recipe, "-o", root / "run"], capture_output=True,
                          text=True)
    row = {"network": network, "seconds": round(time.time() - begin, 1)}
    if done.returncode != 0:
        row["error"] = (done.stderr.strip().splitlines() or ["exit code %d" % done.returncode])[-1][:400]
        return row
    result = json.loads((root / "run" / "result.json").read_text())
    lines = [json.loads(line) for file in sorted((root / "run").glob("a*/metrics.jsonl"))
             for line in file.read_text().splitlines()]
    losses = [(line["step"], line["values"]["total"]) for line in lines if line.get("kind") == "train"]
    row.update({
        "parameters": result["parameters"], "steps": result["steps"],
        "loss": [losses[0][1], losses[-1][1]] if losses else None,
        "dice": [result["initial"].get("dice"), result["last"].get("dice")],
        "ncc": [result["initial"].get("ncc"), result["last"].get("ncc")],
        "folding_percent": result["last"].get("folding"), "curve": losses,
    })
    return row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("archive", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--smoothness", type=float, default=0.3)
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 1) // 4))
    parser.add_argument("--side-by-side", type=int, default=1)
    parser.add_argument("--networks", default="all")
    args = parser.parse_args()
    names = args.networks.split(",")
    if names == ["all"]:
        listed = subprocess.run([args.programs / "regatta-engine", "describe", "--models"], capture_output=True, text=True,
                                check=True)
        names = [model["name"] for model in json.loads(listed.stdout)["models"]]
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(args.side_by_side) as pool:
        rows = list(pool.map(lambda name: fit(name, args, pathlib.Path(folder)), names))
    for row in rows:
        if "error" in row:
            print(f"{row['network']:24} {row['error']}")
        else:
            print("%-24s %4d steps %6.0f s  loss %.4f -> %.4f  dice %.4f -> %.4f  ncc %.4f -> %.4f  folding %.2f %%" % (
                row["network"], row["steps"], row["seconds"], *row["loss"], *row["dice"], *row["ncc"],
                row["folding_percent"]))
    args.output.write_text(json.dumps({
        "benchmark": "one real pair, 64x96x64, CPU", "steps": args.steps, "lr": args.lr,
        "losses": {"ncc": 1.0, "grad": args.smoothness}, "threads": args.threads, "rows": rows}, indent=1) + "\n")
    return 1 if any("error" in row for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
