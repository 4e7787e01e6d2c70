#!/usr/bin/env python3
"""`regatta-engine evaluate` on small files made here: its numbers, its ranking, and what it says to wrong input.

usage: evaluate.py REGATTA_ENGINE
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

SHAPE = (12, 10, 8)
ENGINE = sys.argv[1]


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text)
    if not condition:
        sys.exit(1)


def write_nifti(path, dims, datatype, voxels):
    """NIfTI-1 with 1 mm voxels; voxels in file order, the first index fastest."""
    code, bits = {"B": (2, 8), "f": (16, 32)}[datatype]
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, len(dims), *dims, *[1] * (7 - len(dims)))
    struct.pack_into("<2h", header, 70, code, bits)
    struct.pack_into("<8f", header, 76, *[1.0] * 8)
    struct.pack_into("<f", header, 108, 352.0)
    header[344:348] = b"n+1\0"
    path.write_bytes(bytes(header) + struct.pack(f"<{len(voxels)}{datatype}", *voxels))


def blocks(start):
    """Two labels, 4 voxels long from `start` on along D."""
    return [(1 if h < 5 else 2) if start <= d < start + 4 and 1 <= h < 9 and 2 <= w < 6 else 0
            for w in range(SHAPE[2]) for h in range(SHAPE[1]) for d in range(SHAPE[0])]


def run(*arguments):
    done = subprocess.run([ENGINE, "evaluate", *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def refused(code, text, *arguments):
    got, _, error = run(*arguments)
    check(got == code and text in error and error.strip().count("\n") == 0, f"refused with {code}: {text}")


def main(folder):
    voxels = SHAPE[0] * SHAPE[1] * SHAPE[2]
    (folder / "fixed.csv").write_text("4,3,3\n5,6,4\n")
    (folder / "moving.csv").write_text("6,3,3\n7,6,4\n")
    for method, along in (("exact", 2.0), ("short", 1.0), ("none", 0.0)):
        cases = []
        for i in range(8):
            start = 2 + i % 3
            write_nifti(folder / f"fixed{i}.nii", SHAPE, "B", blocks(start))
            write_nifti(folder / f"moving{i}.nii", SHAPE, "B", blocks(start + 2))
            field = f"disp_{method}_{i}.nii"
            write_nifti(folder / field, (*SHAPE, 3), "f", [along] * voxels + [0.0] * (2 * voxels))
            cases.append({"name": str(i), "field": field, "fixed_labels": f"fixed{i}.nii", "moving_labels": f"moving{i}.nii",
                          "fixed_keypoints": "fixed.csv", "moving_keypoints": "moving.csv"})
        pairs = {"metrics": ["dice", "dice_linear", "hd95", "tre", "ndv", "sdlogj"], "cases": cases}
        (folder / f"{method}.json").write_text(json.dumps(pairs))
        code, out, error = run(folder / f"{method}.json", "-o", folder / f"{method}.report.json", "--device", "cpu")
        check(code == 0 and "hd95" in out, f"{method} is measured {error}")

    reports = {name: json.loads((folder / f"{name}.report.json").read_text()) for name in ("exact", "short", "none")}
    mean = {name: {metric: row["mean"] for metric, row in report["metrics"].items()} for name, report in reports.items()}
    check(mean["exact"]["dice"] == 1 and mean["exact"]["hd95"] == 0 and abs(mean["exact"]["tre"]) < 1e-6, "an exact field is exact")
    check(abs(mean["short"]["dice"] - 0.75) < 1e-12 and abs(mean["short"]["tre"] - 1) < 1e-6, "a field that is 1 voxel short")
    check(mean["none"]["hd95"] == 2 and mean["none"]["dice"] == 0.5 and mean["none"]["ndv"] == 0, "a field of zeros")
    case = reports["short"]["cases"][0]
    check(case["initial"]["dice/2"] == 0.5 and abs(case["values"]["dice/2"] - 0.75) < 1e-12, "labels one by one, before and after")

    paths = [folder / f"{name}.report.json" for name in ("none", "exact", "short")]
    code, out, error = run("--rank", *paths, "--score", "dice,hd95,tre:2", "-o", folder / "ranking.json")
    check(code == 0, f"the ranking {error}")
    ranking = {row["method"]: row for row in json.loads((folder / "ranking.json").read_text())["methods"]}
    check(abs(ranking["exact"]["score"] - 1) < 1e-12 and abs(ranking["none"]["score"] - 0.1) < 1e-12, "best 1, worst 0.1")
    check(ranking["short"]["parts"]["tre"]["beaten_by"] == 1, "the middle one is beaten once")
    check(out.index("exact") < out.index("short") < out.index("none"), "best first")

    refused(2, "either PAIRS or --rank REPORT... is wanted")
    refused(2, "at least 2 wanted", "--rank", paths[0])
    refused(2, "--score goes with --rank", folder / "none.json", "--score", "dice")
    refused(3, "not an evaluation", "--rank", paths[0], folder / "none.json")
    refused(3, "absent.json", folder / "absent.json")
    broken = dict(cases[0], field="fixed0.nii")
    (folder / "broken.json").write_text(json.dumps({"metrics": ["ndv"], "cases": [broken]}))
    refused(3, "fixed0.nii: header: dim 3 12 10 8: no displacement field", folder / "broken.json")
    (folder / "bad.csv").write_text("1,2,3\n4,5\n")
    (folder / "broken.json").write_text(json.dumps({"metrics": ["tre"], "cases": [dict(cases[0], fixed_keypoints="bad.csv")]}))
    refused(3, "bad.csv:2: '4,5'", folder / "broken.json")


with tempfile.TemporaryDirectory(prefix="regatta-evaluate-") as made:
    main(pathlib.Path(made))
