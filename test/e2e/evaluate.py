#!/usr/bin/env python3
"""`regatta-engine evaluate` on small files made here: its numbers, its ranking, what it says to wrong input, the forms
of fields that it reads, and the examples of docs/evaluation.md.

usage: evaluate.py REGATTA_ENGINE
"""
import gzip
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import zipfile

SHAPE = (12, 10, 8)
ENGINE = sys.argv[1]


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text)
    if not condition:
        sys.exit(1)


def write_nifti(path, dims, datatype, voxels, affine=None, intent=0):
    """NIfTI-1; voxels in file order, the first index fastest. Without an affine 1 mm and no place in space."""
    code, bits = {"B": (2, 8), "i": (8, 32), "f": (16, 32)}[datatype]
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, len(dims), *dims, *[1] * (7 - len(dims)))
    struct.pack_into("<3h", header, 68, intent, code, bits)
    struct.pack_into("<8f", header, 76, *[1.0] * 8)
    struct.pack_into("<f", header, 108, 352.0)
    if affine:
        struct.pack_into("<h", header, 254, 1)
        struct.pack_into("<12f", header, 280, *affine)
    header[344:348] = b"n+1\0"
    data = bytes(header) + struct.pack(f"<{len(voxels)}{datatype}", *voxels)
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)


def write_npz(path, name, shape, datatype, values):
    """One array in Fortran order, as `write_nifti` takes its voxels."""
    header = f"{{'descr': '<{datatype}', 'fortran_order': True, 'shape': {tuple(shape)}, }}"
    header += " " * (117 - len(header)) + "\n"
    code = {"f2": "e", "f4": "f", "u1": "B"}[datatype]
    data = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(values)}{code}", *values)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name + ".npy", data)


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


def values_of(folder, metrics, case, **members):
    """The only case's numbers."""
    (folder / "one.json").write_text(json.dumps({"metrics": metrics, "cases": [{"name": "a", **case}], **members}))
    code, _, error = run(folder / "one.json", "-o", folder / "one.report.json", "--device", "cpu")
    check(code == 0, f"{case['field']} is measured {error}")
    return json.loads((folder / "one.report.json").read_text())["cases"][0]["values"]


def check_millimetres(folder):
    """Two grids of one place: an error lies in the moving one, whose voxels are 2 mm along D."""
    shape, voxels = (16, 16, 16), 16 ** 3
    fixed, moving = (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0), (2, 0, 0, -5, 0, 1, 0, 0, 0, 0, 1, 0)
    box = [1 if all(4 <= at < 9 for at in (n % 16, n // 16 % 16, n // 256)) else 0 for n in range(voxels)]
    write_nifti(folder / "lf.nii", shape, "B", box, fixed)
    write_nifti(folder / "lm.nii", shape, "B", box, moving)
    write_nifti(folder / "itk.nii", (*shape, 1, 3), "f", [0.0] * 3 * voxels, fixed, 1007)
    write_nifti(folder / "vox.nii", (*shape, 3), "f", [0.0] * 3 * voxels, fixed)
    write_nifti(folder / "mask.nii", shape, "B", [1] * voxels, (1.75, 0, 0, 0, 0, 1.25, 0, 0, 0, 0, 1.75, 0))
    (folder / "f.csv").write_text("5,5,5\n7,8,9\n")
    (folder / "m0.csv").write_text("5,5,5\n6,8,9\n")
    (folder / "m3.csv").write_text("6.5,5,5\n7.5,8,9\n")
    (folder / "m.csv").write_text("8,5,5\n10,8,9\n")
    def tre(**case):
        return values_of(folder, ["tre"], {"fixed_keypoints": "f.csv", **case})["tre"]
    check(abs(tre(field="itk.nii", moving_keypoints="m0.csv", moving="lm.nii")) < 1e-5, "key-points at the same place: 0 mm")
    both = {"fixed_labels": "lf.nii", "moving_labels": "lm.nii"}
    check(abs(tre(field="itk.nii", moving_keypoints="m3.csv", **both) - 3) < 1e-5, "key-points 3 mm away: 3 mm")
    check(abs(tre(field="vox.nii", moving_keypoints="m.csv", fixed_mask="mask.nii") - 5.25) < 1e-5, "3 voxels of 1.75 mm away: 5.25 mm")
    alone = {"name": "c", "field": "itk.nii", "fixed_keypoints": "f.csv", "moving_keypoints": "m0.csv"}
    (folder / "alone.json").write_text(json.dumps({"metrics": ["tre"], "cases": [alone]}))
    refused(2, "add 'moving', the moving scan or any file on its grid", folder / "alone.json")


def check_forms(folder):
    """One displacement of 2 voxels along D in each form that fields have."""
    voxels = SHAPE[0] * SHAPE[1] * SHAPE[2]
    labels = {"fixed_labels": "fixed.nii", "moving_labels": "moving.nii"}
    write_nifti(folder / "fixed.nii", SHAPE, "i", [2035 * label for label in blocks(3)])
    write_nifti(folder / "moving.nii", SHAPE, "i", [2035 * label for label in blocks(5)])
    last = [2.0] * voxels + [0.0] * 2 * voxels
    first = [2.0, 0.0, 0.0] * voxels
    half = [size // 2 for size in SHAPE]
    few = voxels // 8
    write_nifti(folder / "l2r.nii.gz", (*SHAPE, 3), "f", last)
    write_nifti(folder / "vxm.nii", (3, *SHAPE), "f", first)
    write_npz(folder / "last.npz", "arr_0", (*SHAPE, 3), "f4", last)
    write_npz(folder / "first.npz", "vol", (3, *SHAPE), "f2", first)
    write_npz(folder / "half.npz", "arr_0", (3, *half), "f2", [2.0, 0.0, 0.0] * few)
    for field in ("l2r.nii.gz", "vxm.nii", "last.npz", "first.npz", "half.npz"):
        values = values_of(folder, ["dice", "hd95"], {"field": field, **labels})
        check(values["dice"] == 1 and values["dice/4070"] == 1 and values["hd95/2035"] == 0, f"{field}: what it says")
    values = values_of(folder, ["dice"], {"field": "l2r.nii.gz", **labels}, labels=[0, 4070, 7])
    check(sorted(values) == ["dice", "dice/0", "dice/4070", "dice/7"] and values["dice/7"] == "nan", "the list says which labels")
    case = {"name": "c", "field": "half.npz", "fixed_keypoints": "fixed.csv", "moving_keypoints": "moving.csv"}
    (folder / "alone.json").write_text(json.dumps({"metrics": ["tre"], "cases": [case]}))
    refused(3, "half.npz: an npz field does not say how large the fixed scan is", folder / "alone.json")


def check_examples(folder, page):
    """The lists of the page on files of their names."""
    examples = [json.loads(block) for block in re.findall("```json\n(.*?)```", page.read_text(), re.S)]
    check(len(examples) == 4, f"{page.name} has four lists")
    voxels = SHAPE[0] * SHAPE[1] * SHAPE[2]
    for number, example in enumerate(examples):
        work = folder / f"example{number}"
        for case in example["cases"]:
            for member, name in case.items():
                if member in ("name", "runtime_s"):
                    continue
                path = work / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.suffix == ".csv":
                    path.write_text("4,3,3\n5,6,4\n")
                elif path.suffix == ".npz":
                    write_npz(path, "seg", SHAPE, "u1", blocks(3))
                elif member != "field":
                    write_nifti(path, SHAPE, "B", blocks(3), (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0))
                elif "displacement" in name:
                    write_nifti(path, (*SHAPE, 1, 3), "f", [0.0] * 3 * voxels, (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0), 1007)
                else:
                    write_nifti(path, (3, *SHAPE) if "warp" in name else (*SHAPE, 3), "f", [0.0] * 3 * voxels)
        (work / "pairs.json").write_text(json.dumps(example))
        code, out, error = run(work / "pairs.json", "-o", work / "report.json", "--device", "cpu")
        check(code == 0, f"list {number} of {page.name} is measured {error}")
        values = json.loads((work / "report.json").read_text())["cases"][0]["values"]
        check(all(isinstance(values[metric], float) for metric in example["metrics"]), f"all its metrics have numbers {values}")


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

    refused(2, "one of PAIRS, --model W --archive A --split S, and --rank REPORT... is wanted")
    refused(2, "at least 2 wanted", "--rank", paths[0])
    refused(2, "--score goes with --rank", folder / "none.json", "--score", "dice")
    refused(3, "not an evaluation", "--rank", paths[0], folder / "none.json")
    refused(3, "absent.json", folder / "absent.json")
    check_millimetres(folder)
    check_forms(folder)
    check_examples(folder, pathlib.Path(__file__).parents[2] / "docs/evaluation.md")

    broken = dict(cases[0], field="fixed0.nii")
    (folder / "broken.json").write_text(json.dumps({"metrics": ["ndv"], "cases": [broken]}))
    refused(3, "fixed0.nii: header: dim 3 12 10 8: no displacement field", folder / "broken.json")
    (folder / "bad.csv").write_text("1,2,3\n4,5\n")
    (folder / "broken.json").write_text(json.dumps({"metrics": ["tre"], "cases": [dict(cases[0], fixed_keypoints="bad.csv")]}))
    refused(3, "bad.csv:2: '4,5'", folder / "broken.json")


with tempfile.TemporaryDirectory(prefix="regatta-evaluate-") as made:
    main(pathlib.Path(made))
