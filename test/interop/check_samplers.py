#!/usr/bin/env python3
"""Compares the samplers with SciPy and Optuna.

usage: check_samplers.py TEST_SWEEP    (the executable test_sweep of the build)

Sobol: all 128 dimensions and 2^10 points, bit for bit. Skips by name where SciPy is not installed.
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


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        environment = dict(os.environ, REGATTA_INTEROP_FOLDER=name)
        subprocess.run([sys.argv[1], "[.interop]"], check=True, env=environment, stdout=subprocess.DEVNULL)
        check_sobol(folder)


main()
