#!/usr/bin/env python3
"""Reads what `regatta export` writes with Optuna and TensorBoard, and compares the report's importances and
hypervolumes with Optuna's.

usage: check_export.py TEST_REPORT    (the executable test_report of the build)

Skips by name what reads with a package that is not installed.
"""
import csv
import importlib.util
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text)
    if not condition:
        sys.exit(1)


def close(a, b, tolerance=1e-9):
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-12)


def is_installed(name):
    if importlib.util.find_spec(name) is None:
        print(f"SKIPPED: check_export: {name}")
        return False
    return True


def load(optuna, path):
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    return optuna.load_study(study_name="brains", storage=storage)


def check_study(optuna, folder, report):
    study = load(optuna, folder / "one.log")
    states = optuna.trial.TrialState
    check(len(study.trials) == 80, "Optuna reads as many trials as the sweep has")
    check([t.number for t in study.trials] == [t["number"] for t in report["trials"]], "with the same numbers")
    wanted = {"ok": states.COMPLETE, "diverged": states.FAIL, "running": states.RUNNING, "paused": states.RUNNING,
              "waiting": states.WAITING}
    check(all(t.state == wanted[r["status"]] for t, r in zip(study.trials, report["trials"])), "in the same states")
    check(all(t.value == r["objective"] for t, r in zip(study.trials, report["trials"]) if r["status"] == "ok"),
          "with the same objectives")
    check(all(t.params == r["axes"] for t, r in zip(study.trials, report["trials"])), "with the same parameters")
    best = report["winner"]["trial"]
    check(study.best_trial.user_attrs["trial"] == best, f"and the same winner, {best}")
    curve = report["trials"][0]["curves"]["validation"]
    check(study.trials[0].intermediate_values == dict(zip(curve["step"], curve["value"])), "validations are intermediate values")
    check(study.metric_names == ["dice"], "the metric has its name")
    check(study.trials[0].duration.total_seconds() == 60, "and a trial its duration")


def check_importance(optuna, folder, report):
    study = load(optuna, folder / "one.log")
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    theirs = optuna.importance.get_param_importances(study, evaluator=evaluator)
    ours = {row["pointer"]: row["importance"] for row in report["importance"]["axes"]}
    check(ours.keys() == theirs.keys() and len(ours) == 2, "importances are of the same parameters")
    check(all(close(ours[name], theirs[name]) for name in ours),
          f"importances are Optuna's: {', '.join(f'{n} {v:.6f}' for n, v in ours.items())}")


def check_front(optuna, folder):
    from optuna._hypervolume import compute_hypervolume
    import numpy

    study = load(optuna, folder / "two.log")
    report = json.loads((folder / "two.json").read_text())
    front = {p["trials"][0] for p in report["ranking"] if p["front"] == 1}
    theirs = {t.user_attrs["trial"] for t in study.best_trials}
    check(len(front) > 1 and front == theirs, f"the Pareto front is Optuna's: {len(front)} points that keep to the limit")
    values = numpy.array([[-t.values[0], t.values[1]] for t in study.best_trials])
    volume = compute_hypervolume(values, numpy.array([-0.3, 2.0]))
    check(close(volume, report["pareto"]["hypervolume"]), f"so is its hypervolume: {volume:.9f}")
    violating = [p["trials"][0] for p in report["ranking"] if p["status"] == "violates"]
    theirs = [t.user_attrs["trial"] for t in study.trials if any(c > 0 for c in t.system_attrs.get("constraints", []))]
    check(len(violating) > 0 and sorted(violating) == sorted(theirs), f"Optuna sees the same {len(violating)} points beyond the limit")


def check_events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    import numpy

    curves = {}
    with open(folder / "curves.csv", newline="") as file:
        for row in csv.DictReader(file):
            tag = {"lr": "optim/lr", "ms_per_step": "time/ms_per_step"}.get(row["name"], "loss/" + row["name"])
            tag = "validation/" + row["name"] if row["kind"] == "validation" else tag
            curves.setdefault(int(row["trial"]), {}).setdefault(tag, []).append((int(row["step"]), float(row["value"])))
    check(len(curves) == 78, "the CSV has the curves of all trials that have begun to train")
    for trial in (0, 41, 78):
        accumulator = EventAccumulator(str(folder / "events" / "brains" / f"t{trial:05}"), size_guidance={"scalars": 0})
        accumulator.Reload()
        check(sorted(accumulator.Tags()["scalars"]) == sorted(curves[trial]), f"TensorBoard reads the tags of trial {trial}")
        same = all([(e.step, numpy.float32(e.value)) for e in accumulator.Scalars(tag)] ==
                   [(step, numpy.float32(value)) for step, value in values] for tag, values in curves[trial].items())
        check(same, "and the values of the CSV")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([sys.argv[1], "files for the readers of Optuna and TensorBoard"], check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "REGATTA_INTEROP_OUT": name})
        report = json.loads((folder / "report.json").read_text())
        if is_installed("optuna"):
            import optuna
            optuna.logging.set_verbosity(optuna.logging.ERROR)
            check_study(optuna, folder, report)
            check_importance(optuna, folder, report)
            check_front(optuna, folder)
        if is_installed("tensorboard"):
            check_events(folder)


if __name__ == "__main__":
    main()
