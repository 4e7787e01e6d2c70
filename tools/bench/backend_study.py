#!/usr/bin/env python3
"""Whether the fast backend trains as the reference does: paired seeds, loss curves, one pair of runs at full size.

  tools/bench/backend_study.py [--small A.h5] [--full B.h5] [--curve A.h5] -o OUT.json [--gpus N] [--at-once N]
                               [--keep FORMER.json]

Runs `regatta train` (from PATH) many times, on all GPUs. Three studies, each only if its archive is given:
- seeds (--small): --seeds pairs of trainings of --steps steps, which differ in nothing but the backend. The means of
  the differences (fast - reference) of the last validation, with the bounds of their 95 % interval and the bound below
  which the mean lies with 5 % at most (Student's t, two-sided and one-sided).
- full size (--full): one pair of trainings of --full-steps steps.
- curves (--curve), for each of --curve-models and of --curve-seeds: 300 steps more of a fast training of
  --curve-start steps, with its optimiser's state, by the fast backend and by three references of different rounding
  (TF32, float32, cuDNN's other choice of algorithms). Means over 20 steps; the deviation of fast from the mean of the
  references against the largest of their own, for each start and over all starts of a model. Pictures are
  OUT-MODEL-SEED.svg.
Each run that ended is a line of OUT.jsonl as well. --keep takes what is there of a former report's seeds, if the
recipe is the same: only the others are run. --keep-curves does so with the curves in the lines of a study that was cut
off; trainings before the curves run again, and must give the same losses, or nothing of that start is kept.
"""
import argparse
import concurrent.futures
import json
import math
import os
import pathlib
import queue
import shutil
import statistics
import subprocess
import sys
import tempfile

WINDOW = 20          # steps that a point of the curve is the mean of
CURVE_STEPS = 300
METRICS = ("dice", "folding", "ncc", "sdlogj")
# By LibTorch's and NVIDIA's variables: the recipe stays, so that the training may continue.
REFERENCES = {"reference, TF32": {},
              "reference, float32": {"NVIDIA_TF32_OVERRIDE": "0"},
              "reference, TF32, other algorithms": {"TORCH_CUDNN_USE_HEURISTIC_MODE_B": "1"}}
# 95 % of Student's t by degrees of freedom: two-sided, one-sided.
T_95 = {1: (12.706, 6.314), 3: (3.182, 2.353), 5: (2.571, 2.015), 7: (2.365, 1.895), 9: (2.262, 1.833),
        11: (2.201, 1.796), 15: (2.131, 1.753), 23: (2.069, 1.714), 31: (2.040, 1.696), 47: (2.012, 1.678),
        63: (1.998, 1.669)}


def recipe_of(archive, model, steps, every_epochs, ncc_window):
    return {"schema": 1, "data": {"archive": str(archive.resolve())}, "model": {"name": model},
            "losses": {"ncc": {"options": {"window": ncc_window}}, "grad": {}},
            "train": {"steps": steps}, "optim": {"lr": 1e-4},
            "validation": {"every_epochs": every_epochs, "metrics": list(METRICS), "best": "dice"}}


class Runs:
    """Trainings, some at once on each GPU."""

    def __init__(self, folder, gpus, at_once, log):
        self.folder = folder
        self.log = log
        self.slots = queue.Queue()
        for _ in range(at_once):
            for gpu in range(gpus):
                self.slots.put(gpu)
        self.pool = concurrent.futures.ThreadPoolExecutor(gpus * at_once)

    def start(self, name, recipe, options, variables=None, continues=None):
        """@param continues  folder of a training, which is left as it is"""
        return self.pool.submit(self._run, name, recipe, options, variables or {}, continues)

    def _run(self, name, recipe, options, variables, continues):
        gpu = self.slots.get()
        try:
            place = self.folder / name
            if continues:
                shutil.copytree(continues, place)
            file = self.folder / f"{name}.json"
            file.write_text(json.dumps(recipe))
            command = ["regatta", "train", str(file), "-o", str(place), "--device", "cuda:0"]
            for pointer, value in options.items():
                command += ["--set", f"{pointer}={json.dumps(value) if not isinstance(value, str) else value}"]
            visible = dict(os.environ, CUDA_VISIBLE_DEVICES=str(gpu), **variables)
            done = subprocess.run(command, env=visible, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise SystemExit(f"{name}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
            result = json.loads((place / "result.json").read_text())
            print(f"{name}: {result['ms_per_step']:.2f} ms per step, last {result['last']}", flush=True)
            with self.log.open("a") as lines:
                lines.write(json.dumps({"run": name, **summary(result), "losses": losses_of(place)}) + "\n")
            return place, result
        finally:
            self.slots.put(gpu)


def summary(result):
    return {"last": result["last"], "best": result["best"], "best_step": result["best_step"],
            "ms_per_step": result["ms_per_step"], "train_s": result["train_s"],
            "peak_device_bytes": result["peak_device_bytes"], "backend": result["provenance"]["backend"]}


def interval(values):
    """Mean, the bounds of its 95 % interval, and its lower bound alone."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return {"mean": mean}
    freedom = max(d for d in T_95 if d <= len(values) - 1)
    deviation = statistics.stdev(values)
    two_sided, one_sided = (t * deviation / math.sqrt(len(values)) for t in T_95[freedom])
    return {"mean": mean, "lower": mean - two_sided, "upper": mean + two_sided, "lower_one_sided": mean - one_sided,
            "deviation": deviation}


def seeds_report(recipe, rows):
    report = {"recipe": {**recipe, "data": {}}, "rows": rows, "fast_minus_reference": {}}
    for metric in METRICS:
        report["fast_minus_reference"][metric] = interval(
            [row["fast"]["last"][metric] - row["reference"]["last"][metric] for row in rows])
        for backend in ("fast", "reference"):
            report.setdefault(backend, {})[metric] = interval([row[backend]["last"][metric] for row in rows])
    return report


def losses_of(place):
    """[(step, mean of the total loss since the point before)] of the last attempt"""
    points = []
    for line in sorted(place.glob("a*/metrics.jsonl"))[-1].read_text().splitlines():
        record = json.loads(line)
        if record["kind"] == "train":
            points.append((record["step"], record["values"]["total"]))
    return points


def kept_curves(options):
    """{run: losses} of a study that was cut off"""
    if not options.keep_curves:
        return {}
    records = map(json.loads, options.keep_curves.read_text().splitlines())
    return {record["run"]: [tuple(point) for point in record["losses"]] for record in records}


def start_curve(options, runs, model, seed):
    """Starts a training, and gives a function that starts what follows it: {name: function that gives the losses}."""
    name = f"{model}-{seed}"
    recipe = recipe_of(options.curve, model, options.curve_start, options.curve_start, options.window)
    schedule = {"/train/seed": seed, "/optim/horizon_epochs": options.curve_start, "/run/loss_every_steps": WINDOW}
    kept = kept_curves(options)
    wanted = [f"{name}-fast"] + [f"{name}-reference-{index}" for index in range(len(REFERENCES))]
    grown = None
    if not kept.keys() >= set(wanted):
        grown = runs.start(f"{name}-grown", recipe, {**schedule, "/run/backend": "fast"})

    def follow():
        place = grown.result()[0] if grown else None
        if grown and losses_of(place) != kept.get(f"{name}-grown", losses_of(place)):
            print(f"{name}: another start than the kept one, which is left out", flush=True)
            kept.clear()
        longer = {**schedule, "/train/steps": options.curve_start + CURVE_STEPS}

        def curve(run, backend, variables):
            """@return a function that waits for the losses"""
            if run in kept:
                return lambda: kept[run]
            started = runs.start(run, recipe, {**longer, "/run/backend": backend}, variables, place)
            return lambda: losses_of(started.result()[0])

        curves = {"fast": curve(wanted[0], "fast", {})}
        for run, (reference, variables) in zip(wanted[1:], REFERENCES.items()):
            curves[reference] = curve(run, "reference", variables)
        return curves
    return follow


def curve_report(curves):
    references = [curves[name] for name in REFERENCES]
    steps = [step for step, _ in references[0]]
    mean = [statistics.fmean(curve[i][1] for curve in references) for i in range(len(steps))]
    own = max(abs(curve[i][1] - mean[i]) for curve in references for i in range(len(steps)))
    fast = max(abs(curves["fast"][i][1] - mean[i]) for i in range(len(steps)))
    return {"steps": steps, "mean_over_steps": WINDOW,
            "total": {name: [value for _, value in curve] for name, curve in curves.items()},
            "largest_deviation_of_a_reference": own, "largest_deviation_of_fast": fast, "ratio": fast / own}


def over_seeds(curves):
    """The largest deviations of each model over all its starts. One start alone is a noisy yardstick: how far references
    lie apart after 300 steps differs by a factor of five between starts."""
    result = {}
    for model in dict.fromkeys(curve["model"] for curve in curves):
        of_model = [curve for curve in curves if curve["model"] == model]
        own, fast = (max(curve[key] for curve in of_model)
                     for key in ("largest_deviation_of_a_reference", "largest_deviation_of_fast"))
        result[model] = {"seeds": [curve["seed"] for curve in of_model], "largest_deviation_of_a_reference": own,
                         "largest_deviation_of_fast": fast, "ratio": fast / own}
    return result


def picture(report):
    """The curves as an SVG."""
    width, height, left, right, top, bottom = 760, 420, 70, 20, 20, 50
    steps, curves = report["steps"], report["total"]
    values = [value for curve in curves.values() for value in curve]
    low, high = min(values), max(values)
    margin = 0.05 * (high - low)
    low, high = low - 3 * margin, high + margin   # room for the names
    first = steps[0] - WINDOW

    def x(step):
        return left + (width - left - right) * (step - first) / (steps[-1] - first)

    def y(value):
        return top + (height - top - bottom) * (high - value) / (high - low)

    colours = dict(zip(curves, ("#d62728", "#1f77b4", "#2ca02c", "#9467bd")))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
           f'font-size="12"><rect width="100%" height="100%" fill="white"/>']
    for i in range(6):
        value = low + (high - low) * i / 5
        out.append(f'<path d="M{left} {y(value):.1f}H{width - right}" stroke="#ddd"/>'
                   f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4f}</text>')
    for step in range(first, steps[-1] + 1, 50):
        out.append(f'<text x="{x(step):.1f}" y="{height - bottom + 18}" text-anchor="middle">{step}</text>')
    out.append(f'<text x="{width / 2}" y="{height - 12}" text-anchor="middle">step</text>'
               f'<text x="16" y="{height / 2}" text-anchor="middle" transform="rotate(-90 16 {height / 2})">'
               f'loss, mean over {WINDOW} steps</text>')
    name_x = left + 12
    for name, curve in curves.items():
        line = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in zip(steps, curve))
        dash = "" if name == "fast" else ' stroke-dasharray="5 3"'
        out.append(f'<polyline points="{line}" fill="none" stroke="{colours[name]}" stroke-width="1.6"{dash}/>'
                   f'<text x="{name_x}" y="{height - bottom - 10}" '
                   f'fill="{colours[name]}">{name}</text>')
        name_x += 7 * len(name) + 24
    return "\n".join(out) + "</svg>\n"


def kept_references(options, recipe):
    if not options.keep:
        return {}
    former = json.loads(options.keep.read_text())["seeds"]
    if former["recipe"] != {**recipe, "data": {}}:
        raise SystemExit(f"{options.keep}: another recipe than that of this study")
    return {row["seed"]: row for row in former["rows"]}


def start_seeds(options, runs):
    recipe = recipe_of(options.small, options.model, options.steps, options.steps, options.window)
    kept = kept_references(options, recipe)
    started = []
    for seed in range(1, options.seeds + 1):
        def run(backend, seed=seed):
            return runs.start(f"seed-{seed}-{backend}", recipe, {"/train/seed": seed, "/run/backend": backend})
        if seed not in kept:
            started.append((seed, run("fast"), run("reference")))
    return recipe, kept, started


def finish_seeds(recipe, kept, started):
    rows = list(kept.values())
    for seed, fast, reference in started:
        rows.append({"seed": seed, "fast": summary(fast.result()[1]), "reference": summary(reference.result()[1])})
    return seeds_report(recipe, sorted(rows, key=lambda row: row["seed"]))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=pathlib.Path, help="archive of the paired seeds")
    parser.add_argument("--full", type=pathlib.Path, help="archive at full size")
    parser.add_argument("--curve", type=pathlib.Path, help="archive of the curves")
    parser.add_argument("--curve-models", default="voxelmorph-2", help="names, separated by commas")
    parser.add_argument("--curve-seeds", default="1", help="numbers, separated by commas")
    parser.add_argument("--curve-start", type=int, default=2500, help="steps before the curves begin")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="JSON file")
    parser.add_argument("--model", default="voxelmorph-2")
    parser.add_argument("--window", type=int, default=9, help="of NCC")
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--full-steps", type=int, default=2000)
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=2, help="trainings at a time on each GPU; more only take turns")
    parser.add_argument("--keep", type=pathlib.Path, help="former report")
    parser.add_argument("--keep-curves", type=pathlib.Path, help="OUT.jsonl of a study that was cut off")
    return parser.parse_args()


def main():
    options = parse()
    report = {}

    def write():
        options.output.write_text(json.dumps(report, indent=1) + "\n")

    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(pathlib.Path(folder), options.gpus, options.at_once, options.output.with_suffix(".jsonl"))
        full = {}
        if options.full:
            recipe = recipe_of(options.full, options.model, options.full_steps, options.full_steps, options.window)
            full = {backend: runs.start(f"full-{backend}", recipe, {"/run/backend": backend})
                    for backend in ("fast", "reference")}
        seeds = start_seeds(options, runs) if options.small else None
        curves = {}
        if options.curve:
            follow = {(model, int(seed)): start_curve(options, runs, model, int(seed))
                      for model in options.curve_models.split(",") for seed in options.curve_seeds.split(",")}
            curves = {key: start() for key, start in follow.items()}
        if seeds:
            report["seeds"] = finish_seeds(*seeds)
            write()
        if options.full:
            report["full_size"] = {backend: summary(run.result()[1]) for backend, run in full.items()}
            write()
        for (model, seed), started in curves.items():
            curve = curve_report({name: losses() for name, losses in started.items()})
            report.setdefault("curves", []).append({"model": model, "seed": seed, **curve})
            report["curves_over_seeds"] = over_seeds(report["curves"])
            options.output.with_name(f"{options.output.stem}-{model}-{seed}.svg").write_text(picture(curve))
            write()
            print(f"curve of {model}, seed {seed}: ratio {curve['ratio']:.2f}", flush=True)
    for name in ("seeds", "full_size"):
        if name in report:
            print(name, json.dumps({k: v for k, v in report[name].items() if k not in ("rows", "recipe")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
