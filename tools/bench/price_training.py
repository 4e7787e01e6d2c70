#!/usr/bin/env python3
"""What a training of 500 epochs of 400 pairs takes on this GPU, priced from five of its epochs.

  tools/bench/price_training.py ARCHIVE.h5 -o OUT.json [--models voxelmorph-2,lkunet,transmorph]

Runs `regatta train` (from PATH) for 2 000 steps, one network after the other: NCC 9 + L2 diffusion, Adam with AMSGrad,
validation after each epoch (Dice, folding, SDlogJ, NCC) on the archive's validation pairs. Time outside the steps is
that of validation and of saving checkpoints.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

EPOCH_PAIRS = 400
EPOCHS = 500
MEASURED_EPOCHS = 5


def recipe_of(archive, model):
    return {"schema": 1, "data": {"archive": str(archive.resolve())}, "model": {"name": model},
            "losses": {"ncc": {"options": {"window": 9}}, "grad": {}},
            "train": {"steps": MEASURED_EPOCHS * EPOCH_PAIRS, "epoch_pairs": EPOCH_PAIRS}, "optim": {"lr": 1e-4},
            "validation": {"every_epochs": 1, "metrics": ["dice", "folding", "sdlogj", "ncc"], "best": "dice"}}


def priced(archive, model, folder):
    file = folder / f"{model}.json"
    file.write_text(json.dumps(recipe_of(archive, model)))
    place = folder / model
    done = subprocess.run(["regatta", "train", str(file), "-o", str(place)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{model}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    result = json.loads((place / "result.json").read_text())
    steps_s = result["steps"] * result["ms_per_step"] / 1000
    return {"model": model, "backend": result["provenance"]["backend"], "steps": result["steps"],
            "ms_per_step": result["ms_per_step"], "train_s": result["train_s"],
            "validation_and_saving_s_per_epoch": (result["train_s"] - steps_s) / MEASURED_EPOCHS,
            "peak_device_bytes": result["peak_device_bytes"], "last": result["last"],
            "minutes_of_500_epochs": result["train_s"] / MEASURED_EPOCHS * EPOCHS / 60}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=pathlib.Path)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="JSON file")
    parser.add_argument("--models", default="voxelmorph-2,lkunet,transmorph", help="names, separated by commas")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models.split(","):
            rows.append(priced(options.archive, model, pathlib.Path(folder)))
            print(json.dumps(rows[-1]), flush=True)
            options.output.write_text(json.dumps({"epochs": EPOCHS, "epoch_pairs": EPOCH_PAIRS, "rows": rows}, indent=1)
                                      + "\n")


if __name__ == "__main__":
    main()
