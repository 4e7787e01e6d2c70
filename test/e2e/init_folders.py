#!/usr/bin/env python3
"""Made-up folders of brain, lung and heart through `init`, `pack` and, where the engine is built, `plan` and some epochs
of `train` with a falling loss, without a file touched by hand.

usage: init_folders.py BIN_DIR [brain|lung|heart ...] [--keep DIR]
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

EXPECTED = {  # layout, subjects and pairs by split, metric, kind of intensity
    "brain": ("flat", {"atlas": 1}, "dice", "percentile"),
    "lung": ("learn2reg", {"train": 8, "val": 4}, "tre", "window"),
    "heart": ("acdc", {}, "dice", "percentile"),
}
EPOCHS = {"brain": 3, "lung": 5, "heart": 3}  # 20 steps and more
SMALL = {  # the recipe's network with fewer features: they take seconds on two cores
    "brain": ["/model/name=voxelmorph-custom",
              '/model/options={"encoder": [4, 8, 8, 8], "decoder": [8, 8, 8, 8, 8, 4, 4]}',
              "/optim/lr=0.004"],
    "lung": ["/model/options/channels=4", "/optim/lr=0.0003"],
    "heart": ["/model/options/encoder=[8, 8, 16, 16]", "/model/options/decoder=[16, 16, 16, 16, 16, 8, 8]",
              "/optim/lr=0.002"],
}


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text, flush=True)
    if not condition:
        sys.exit(1)


def run(bin_dir, *arguments):
    done = subprocess.run([str(bin_dir / arguments[0]), *map(str, arguments[1:])], capture_output=True, text=True)
    if done.returncode != 0:
        check(False, f"{' '.join(map(str, arguments))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def losses(run_folder):
    """Total losses of a training's lines, a list for each epoch."""
    lines = []
    for path in run_folder.glob("**/metrics.jsonl"):
        lines += [json.loads(line) for line in path.read_text().splitlines()]
    epochs = {}
    for line in lines:
        if line["kind"] == "train":
            epochs.setdefault(line["epoch"], []).append(line["values"]["total"])
    return [epochs[epoch] for epoch in sorted(epochs)]


def check_kind(bin_dir, work, kind):
    layout, subjects, metric, intensity = EXPECTED[kind]
    run(bin_dir, "regatta-demo-data", work / "scans", kind, "--half")
    folder = work / "scans" if kind == "brain" else work / "scans" / f"{kind}_phantom"
    out = work / "out"
    said = run(bin_dir, "regatta", "init", folder, "-o", out)
    check(f"layout       {layout} " in said, f"{kind}: init takes it as {layout}")
    dataset = json.loads((out / "dataset.json").read_text())
    counts = {}
    for subject in dataset["subjects"]:
        counts[subject["split"]] = counts.get(subject["split"], 0) + 1
    check(counts.get("val", 0) >= 1 and all(counts.get(split) == count for split, count in subjects.items()),
          f"{kind}: splits {counts}")
    check(dataset["preprocess"]["intensity"]["kind"] == intensity, f"{kind}: intensity {intensity}")
    check(all(size % 16 == 0 for size in dataset["preprocess"]["shape"]),
          f"{kind}: shape {dataset['preprocess']['shape']}, spacing {dataset['preprocess']['spacing_mm']}")
    recipe = json.loads((out / "recipe.json").read_text())
    check(recipe["validation"]["best"] == metric, f"{kind}: validated by {metric}")
    archive = out / recipe["data"]["archive"]
    run(bin_dir, "regatta", "pack", out / "dataset.json", "-o", archive)
    check(archive.exists(), f"{kind}: packed, {archive.stat().st_size} bytes")
    if not (bin_dir / "regatta-engine").exists():
        print(f"SKIPPED: init_folders: {kind}: plan and train: no regatta-engine in this build", flush=True)
        return
    planned = run(bin_dir, "regatta", "plan", out / "job.json")
    check("\nbackend fast, " in planned and "auto is priced as fast (GPUs of compute" in planned, f"{kind}: backend")
    check("6 trials" in planned or planned.count("\n") > 6, f"{kind}: planned")
    run(bin_dir, "regatta", "train", out / "recipe.json", "-o", work / "run", "--set", "/train/steps=0",
        "--set", f"/train/epochs={EPOCHS[kind]}",
        "--set", "/validation/at_start=false", "--set", "/run/log_every_s=0.1",
        "--device", "cpu", *(word for setting in SMALL[kind] for word in ("--set", setting)))
    seen = losses(work / "run")
    first, last = (sum(epoch) / len(epoch) for epoch in (seen[0], seen[-1]))  # of the same pairs
    check(len(seen) == EPOCHS[kind] and last < first, f"{kind}: the loss falls in {len(seen)} epochs: {first:.4f} to {last:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bin_dir", type=pathlib.Path)
    parser.add_argument("kinds", nargs="*", help="brain, lung, heart; default: all")
    parser.add_argument("--keep", type=pathlib.Path, help="work there and leave it, to look at")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="regatta-init-") as temporary:
        for kind in options.kinds or EXPECTED:
            check_kind(options.bin_dir, (options.keep or pathlib.Path(temporary)) / kind, kind)


if __name__ == "__main__":
    main()
