#!/usr/bin/env python3
"""Compares the samplers with SciPy and Optuna.

usage: check_samplers.py TEST_SWEEP    (the executable test_sweep of the build)

Sobol: all 128 dimensions and 2^10 points, bit for bit, as SciPy. TPE: from the same history and the same 24 candidates
the same log l, log g and choice as Optuna 5.0.0. Skips by name where SciPy or that Optuna is not installed.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text)
    if not condition:
        sys.exit(1)


def check_sobol(folder):
    try:
        import numpy
        from scipy.stats import qmc
    except ImportError as missing:
        print(f"SKIPPED: check_samplers, Sobol: {missing.name}")
        return
    ours = numpy.array(json.loads((folder / "sobol.json").read_text()))
    for dimensions in (1, 2, 5, 21, 64, 128):
        theirs = qmc.Sobol(dimensions, scramble=False, bits=32).random_base2(10)
        check(numpy.array_equal(ours[:, :dimensions], theirs), f"Sobol, {dimensions} dimensions, 1024 points, as SciPy")


AXES = {
    "/float": {"linear": [-1.0, 3.0]},
    "/log": {"log": [1e-5, 1e-1]},
    "/step": {"linear": [0.0, 2.0], "step": 0.25},
    "/integer": {"integer": [2, 9]},
    "/by4": {"integer": [4, 33], "step": 4},
    "/log_integer": {"log_integer": [1, 64]},
    "/list": {"list": ["a", "b", "c", "d"]},
}


def distribution(axis):
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if "list" in axis:
        return CategoricalDistribution(axis["list"])
    kind, (low, high) = next((name, axis[name]) for name in ("linear", "log", "integer", "log_integer") if name in axis)
    if kind in ("linear", "log"):
        return FloatDistribution(low, high, log=kind == "log", step=axis.get("step"))
    return IntDistribution(low, high, log=kind == "log_integer", step=axis.get("step", 1))


def theirs(case, axes, seed):
    """Optuna's sampler on the history: adds its candidates to the case. @return log l, log g and the index it takes"""
    import numpy
    import optuna
    from optuna.samplers._tpe import parzen_estimator

    # Equal values of an axis: their order decides on widths, and NumPy's default order of equal ones depends on the machine.
    class Stable:
        def __getattr__(self, name):
            return getattr(numpy, name)

        @staticmethod
        def argsort(values):
            return numpy.argsort(values, kind="stable")

    parzen_estimator.np = Stable()
    seen = {}

    class Sampler(optuna.samplers.TPESampler):
        def _compute_acquisition_func(self, samples, below, above):
            seen["samples"] = {name: values.copy() for name, values in samples.items()}
            seen["below"], seen["above"] = below.log_pdf(samples), above.log_pdf(samples)
            return seen["below"] - seen["above"]

    space = {name: distribution(axis) for name, axis in axes.items()}
    study = optuna.create_study(direction="maximize" if case["maximise"] else "minimize", sampler=Sampler(seed=seed))
    states = {"complete": optuna.trial.TrialState.COMPLETE, "infeasible": optuna.trial.TrialState.COMPLETE,
              "pruned": optuna.trial.TrialState.PRUNED, "running": optuna.trial.TrialState.RUNNING}
    for one in case["history"]:
        trial = optuna.trial.create_trial(
            state=states[one["state"]], params=one["point"], distributions=space,
            value=one["value"] if one["state"] in ("complete", "infeasible") else None,
            intermediate_values={one["step"]: one["value"]} if one["state"] == "pruned" else {})
        study.add_trial(trial)
    infeasible = {i for i, one in enumerate(case["history"]) if one["state"] == "infeasible"}
    original = optuna.samplers._tpe.sampler._get_infeasible_trial_score
    optuna.samplers._tpe.sampler._get_infeasible_trial_score = lambda trial: 1.0 if trial.number in infeasible else 0.0
    taken = study.ask(space).params
    optuna.samplers._tpe.sampler._get_infeasible_trial_score = original
    count = len(seen["below"])
    matching = [i for i in range(count) if all(
        space[name].to_external_repr(seen["samples"][name][i].item()) == taken[name] for name in axes)]
    seen["best"] = matching[0]  # of equal candidates the first
    case["candidates"] = [[float(seen["samples"][name][i]) for name in axes] for i in range(count)]
    return seen


def make_cases():
    import random

    cases, expected = [], []
    for number, (ended, running, maximise) in enumerate(
            [(10, 0, False), (11, 3, True), (24, 1, False), (60, 4, True), (300, 8, False), (400, 0, True)]):
        for names in (list(AXES), ["/float", "/log"], ["/by4", "/list"], ["/log_integer"]):
            draw = random.Random(100 * number + len(names))
            axes = {name: AXES[name] for name in names}
            history = []
            for index in range(ended + running):
                point = {}
                for name, axis in axes.items():
                    values = distribution(axis)
                    if "list" in axis:
                        point[name] = draw.choice(axis["list"])
                    elif type(values).__name__ == "IntDistribution":
                        point[name] = draw.randrange(values.low, values.high + 1, values.step)
                    elif values.step:
                        point[name] = values.low + values.step * draw.randrange(round((values.high - values.low) / values.step) + 1)
                    elif values.log:
                        point[name] = values.low * (values.high / values.low) ** draw.random()
                    else:
                        point[name] = draw.uniform(values.low, values.high)
                state = "running" if index >= ended else draw.choices(["complete", "pruned", "infeasible"], [6, 2, 1])[0]
                history.append({"point": point, "state": state, "value": round(draw.uniform(0, 1), 2), "step": 10 * draw.randint(1, 3)})
            case = {"axes": axes, "history": history, "maximise": maximise}
            expected.append(theirs(case, axes, number))
            cases.append(case)
    return cases, expected


def optuna_cases():
    try:
        import optuna
    except ImportError as missing:
        print(f"SKIPPED: check_samplers, TPE: {missing.name}")
        return [], []
    if optuna.__version__ != "5.0.0":
        print(f"SKIPPED: check_samplers, TPE: optuna {optuna.__version__}, 5.0.0 is compared with")
        return [], []
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return make_cases()


def check_tpe(folder, expected):
    worst = 0.0
    for number, (ours, theirs) in enumerate(zip(json.loads((folder / "tpe_scores.json").read_text()), expected)):
        for name in ("below", "above"):
            worst = max(worst, max(abs(a - b) for a, b in zip(ours[name], theirs[name])))
        check(ours["best"] == theirs["best"], f"TPE, history {number}: candidate {ours['best']} of {len(ours['below'])} as Optuna")
    if expected:
        check(worst < 1e-9, f"TPE, log l and log g of {len(expected)} histories differ by at most {worst:.1e}")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cases, expected = optuna_cases()
        (folder / "tpe_cases.json").write_text(json.dumps(cases))
        environment = dict(os.environ, REGATTA_INTEROP_FOLDER=name)
        subprocess.run([sys.argv[1], "[.interop]"], check=True, env=environment, stdout=subprocess.DEVNULL)
        check_sobol(folder)
        check_tpe(folder, expected)


main()
