#!/usr/bin/env python3
"""A made-up Learn2Reg release from `init` to a checked submission, in both forms.

usage: learn2reg.py BIN_DIR

The submission is read as the challenge's evaluation reads it: by its names, NIfTI or half resolution doubled by SciPy, in
voxels with map_coordinates, and its TRE is the table's. Skips by name where nibabel, numpy or scipy is not installed.
"""
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import nibabel
    import numpy
    from scipy.ndimage import map_coordinates, zoom
except ImportError as missing:
    print(f"SKIPPED: learn2reg: {missing.name}")
    sys.exit(0)

BIN = pathlib.Path(sys.argv[1])


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text, flush=True)
    if not condition:
        sys.exit(1)


def run(program, *arguments, code=0):
    done = subprocess.run([str(BIN / program), *map(str, arguments)], capture_output=True, text=True)
    check(done.returncode == code, f"{program} {arguments[0]} ends with {done.returncode} {done.stderr[-400:] if done.returncode != code else ''}")
    return done


def train(folder):
    run("regatta-demo-data", folder, "lung", "--half")
    release = folder / "lung_phantom"
    run("regatta", "init", release, "-o", folder / "out")
    recipe = json.loads((folder / "out/recipe.json").read_text())
    run("regatta", "pack", folder / "out/dataset.json", "-o", folder / "out" / recipe["data"]["archive"])
    settings = ("/train/steps=0", "/train/epochs=5", "/model/options/channels=4", "/optim/lr=0.0003")
    run("regatta-engine", "train", folder / "out/recipe.json", "-o", folder / "run", "--device", "cpu", *(word for one in settings for word in ("--set", one)))
    return release / "LungPhantom_dataset.json"


def points(path):
    return numpy.loadtxt(path, delimiter=",")


def tre(release, pair, field, spacing):
    """Learn2Reg's: the field at the fixed points, in voxels, then millimetres. @param field  [3, X, Y, Z]"""
    fixed, moving = (points(release / pair[side].replace("images", "keypoints").replace(".nii.gz", ".csv")) for side in ("fixed", "moving"))
    moved = numpy.stack([map_coordinates(component, fixed.T, order=1) for component in field], -1) + fixed
    return numpy.linalg.norm((moved - moving) * spacing, axis=1).mean()


def read_submitted(folder, name, half):
    if not half:
        image = nibabel.load(folder / f"{name}.nii.gz")
        return numpy.moveaxis(numpy.asarray(image.dataobj), -1, 0).astype(float)
    array = numpy.load(folder / f"{name}.npz")["arr_0"]
    check(array.dtype == numpy.float16, f"{name}: float16, {array.shape}")
    return numpy.stack([zoom(component.astype("float32"), 2, order=2) for component in array])


def submitted(folder, listed, call, half):
    out = folder / ("npz" if half else "nifti")
    said = run(*call, "--learn2reg-form", "npz" if half else "nifti", "-o", out)
    pairs = json.loads(listed.read_text())["registration_val"]
    names = sorted(f"disp_{pair['fixed'][-16:-12]}_{pair['moving'][-16:-12]}" for pair in pairs)
    ending = ".npz" if half else ".nii.gz"
    check(sorted(os.listdir(out / "submission")) == [name + ending for name in names], f"the submission has the {len(names)} names that the evaluation looks for")
    check("are as the task expects" in said.stdout, said.stdout.strip().splitlines()[-1])
    with open(out / "registrations.csv", newline="") as file:
        table = {row["name"]: row for row in csv.DictReader(file)}
    for pair in pairs:
        name = f"disp_{pair['fixed'][-16:-12]}_{pair['moving'][-16:-12]}"
        scan = nibabel.load(listed.parent / pair["fixed"])
        field = read_submitted(out / "submission", name, half)
        check(field.shape == (3, *scan.shape) and numpy.isfinite(field).all(), f"{name}: {field.shape}")
        ours = float(table[name[5:]]["tre_after"])
        theirs = tre(listed.parent, pair, field, scan.header.get_zooms()[:3])
        check(abs(ours - theirs) < (0.05 if half else 1e-3), f"{name}: TRE {theirs:.4f} mm as evaluated there, {ours:.4f} in the table, {float(table[name[5:]]['tre_before']):.4f} before")
    return out


def main(folder):
    listed = train(folder)
    call = ("regatta-engine", "register", "--model", folder / "run", "--learn2reg", listed, "--device", "cpu")
    out = submitted(folder, listed, call, half=False)
    submitted(folder, listed, call, half=True)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/registration.json")}
    (out / "submission/notes.txt").write_text("left over")
    said = run(*call, "--learn2reg-form", "nifti", "-o", out)
    check(before == {path: path.stat().st_mtime_ns for path in before}, "the same command again registers nothing")
    check("notes.txt" in said.stderr, "and names what is not of the task")
    said = run(*call, "--split", "test", "-o", folder / "none", code=2)
    check("no pairs under /registration_test" in said.stderr, "a split that the list lacks is refused")
    content = json.loads(listed.read_text())
    content["registration_val"].append({"fixed": "./imagesTr/a.nii.gz", "moving": "./imagesTr/b.nii.gz"})
    (listed.parent / "Wrong_dataset.json").write_text(json.dumps(content))
    said = run("regatta-engine", "register", "--model", folder / "run", "--learn2reg", listed.parent / "Wrong_dataset.json", "--device", "cpu", "-o", folder / "none", code=2)
    check("imagesTr/a.nii.gz" in said.stderr, "names that give no submission's name are refused")


with tempfile.TemporaryDirectory(prefix="regatta-l2r-") as made:
    main(pathlib.Path(made))
