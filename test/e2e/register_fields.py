#!/usr/bin/env python3
"""A pair of scans on different grids through `regatta-engine register`, in both forms of fields.

usage: register_fields.py BIN_DIR

The field for Learn2Reg, applied as Learn2Reg's evaluation does it (identity + displacement in voxels, nearest label, 0
outside), must warp the labels as the one in millimetres does, and `evaluate` must measure the same with both. Skips by
name where nibabel or numpy is not installed.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import nibabel
    import numpy
except ImportError as missing:
    print(f"SKIPPED: register_fields: {missing.name}")
    sys.exit(0)

BIN = pathlib.Path(sys.argv[1])
RECIPE = {
    "data": {"archive": "scene.h5"},
    "model": {"name": "voxelmorph-custom", "options": {"encoder": [4, 8, 8, 8], "decoder": [8, 8, 8, 8, 8, 4, 4]}},
    "losses": {"ncc": {"weight": 1, "options": {"window": 5}}, "grad": {"weight": 0.1}},
    "optim": {"lr": 0.005}, "train": {"steps": 30}, "validation": {"every_epochs": 5},
    "run": {"device": "cpu", "threads": 1},
}


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text, flush=True)
    if not condition:
        sys.exit(1)


def run(*arguments):
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True)
    check(done.returncode == 0, f"{' '.join(map(str, arguments[1:3]))} {done.stderr[-400:] if done.returncode else ''}")
    return done.stdout


def blobs(points):
    """Intensities and labels at points in millimetres, [..., 3]."""
    first = ((points - (7.5, 10.0, 7.5)) ** 2).sum(-1)
    second = ((points - (7.5, 21.0, 8.5)) ** 2).sum(-1)
    labels = numpy.where(first < 20, 2035, numpy.where(second < 12, 17, 0)).astype(numpy.int32)
    return (0.9 * numpy.exp(-first / 18) + 0.6 * numpy.exp(-second / 10)).astype(numpy.float32), labels


def write_scan(folder, name, shape, affine, shift):
    index = numpy.stack(numpy.meshgrid(*map(numpy.arange, shape), indexing="ij"), -1)
    image, labels = blobs(index @ affine[:3, :3].T + affine[:3, 3] - numpy.asarray(shift))
    nibabel.save(nibabel.Nifti1Image(image, affine), folder / "images" / name)
    nibabel.save(nibabel.Nifti1Image(labels, affine), folder / "labels" / name)


def learn2reg_warp(labels, field):
    """Nearest labels at identity + displacement, 0 beyond the outer voxels' centres."""
    place = numpy.stack(numpy.meshgrid(*map(numpy.arange, field.shape[:3]), indexing="ij"), -1) + field.astype(numpy.float64)
    last = numpy.array(labels.shape) - 1
    inside = ((place >= 0) & (place <= last)).all(-1)
    nearest = numpy.clip(numpy.floor(place + 0.5).astype(int), 0, last)
    return numpy.where(inside, labels[tuple(numpy.moveaxis(nearest, -1, 0))], 0)


def measured(folder, field, **members):
    case = {"name": "p", "field": str(field), "fixed_labels": "labels/T_0001_0000.nii.gz", "moving_labels": "labels/T_0002_0000.nii.gz",
            "fixed_keypoints": "fixed.csv", "moving_keypoints": "moving.csv", **members}
    (folder / "pairs.json").write_text(json.dumps({"metrics": ["dice", "tre"], "cases": [case]}))
    run(BIN / "regatta-engine", "evaluate", folder / "pairs.json", "-o", folder / "report.json", "--device", "cpu")
    return json.loads((folder / "report.json").read_text())["cases"][0]["values"]


def main(folder):
    run(BIN / "make_scene", folder)
    (folder / "recipe.json").write_text(json.dumps(RECIPE))
    run(BIN / "regatta-engine", "train", folder / "recipe.json", "-o", folder / "run")
    weights = next((folder / "run").rglob("best.safetensors"))
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    fixed_affine = numpy.diag([1.0, 1, 1, 1])
    # Axes turned and reversed, half the spacing along one, another shape and place.
    moving_affine = numpy.array([[0.0, 0, -1, 16], [1, 0, 0, -1], [0, 0.5, 0, -0.5], [0, 0, 0, 1]])
    write_scan(folder, "T_0001_0000.nii.gz", (16, 32, 16), fixed_affine, (0, 0, 0))
    write_scan(folder, "T_0002_0000.nii.gz", (34, 36, 18), moving_affine, (0.8, -1.2, 0.6))
    points = numpy.array([[7.5, 10, 7.5], [7.5, 21, 8.5], [6, 12, 9]])
    numpy.savetxt(folder / "fixed.csv", points, delimiter=",")
    moved = points + (0.8, -1.2, 0.6) - moving_affine[:3, 3]
    numpy.savetxt(folder / "moving.csv", moved @ numpy.linalg.inv(moving_affine[:3, :3]).T, delimiter=",")

    pair = ["--model", weights, "--fixed", folder / "images/T_0001_0000.nii.gz", "--moving", folder / "images/T_0002_0000.nii.gz",
            "--moving-labels", folder / "labels/T_0002_0000.nii.gz", "--device", "cpu"]
    run(BIN / "regatta-engine", "register", *pair, "-o", folder / "itk")
    said = run(BIN / "regatta-engine", "register", *pair, "-o", folder / "l2r", "--field-format", "learn2reg")
    check("disp_0001_0002.nii.gz" in said, "the field for Learn2Reg has Learn2Reg's name, and register says so")
    record = json.loads((folder / "l2r/registration.json").read_text())
    check(record["field"] == {"file": "disp_0001_0002.nii.gz", "format": "learn2reg"}, "the record names the field")

    file = nibabel.load(folder / "l2r/disp_0001_0002.nii.gz")
    check(file.shape == (16, 32, 16, 3) and file.get_data_dtype() == numpy.float32, "[D, H, W, 3], float32")
    arrays = file.get_fdata(dtype=numpy.float32)
    space = nibabel.load(folder / "itk/displacement.nii.gz").get_fdata()[..., 0, :] * (-1, -1, 1)  # RAS
    index = numpy.stack(numpy.meshgrid(*map(numpy.arange, arrays.shape[:3]), indexing="ij"), -1)
    to_moving = numpy.linalg.inv(moving_affine)
    ends = (index @ fixed_affine[:3, :3].T + fixed_affine[:3, 3] + space) @ to_moving[:3, :3].T + to_moving[:3, 3]
    worst = numpy.abs(ends - index - arrays).max()
    check(worst < 2e-4, f"both fields end at the same moving voxels, at most {worst:.1e} apart")

    moving_labels = nibabel.load(folder / "labels/T_0002_0000.nii.gz").get_fdata()
    fixed_labels = nibabel.load(folder / "labels/T_0001_0000.nii.gz").get_fdata()
    warped = learn2reg_warp(moving_labels, arrays)
    ours = nibabel.load(folder / "itk/warped_labels.nii.gz").get_fdata()
    check((warped == ours).mean() > 0.999, "Learn2Reg's way of applying it gives the labels that register wrote")

    of_space = measured(folder, "itk/displacement.nii.gz")
    of_arrays = measured(folder, "l2r/disp_0001_0002.nii.gz")
    for label in (17, 2035):
        a, b = fixed_labels == label, warped == label
        dice = 2 * (a & b).sum() / (a.sum() + b.sum())
        check(abs(of_arrays[f"dice/{label}"] - dice) < 1e-9, f"evaluate and numpy agree: Dice {dice:.6f} of label {label}")
        check(abs(of_space[f"dice/{label}"] - dice) < 0.02, "and the field in millimetres gives it but for ties")
    check(abs(of_space["tre"] - of_arrays["tre"]) < 0.05, f"TRE {of_space['tre']:.4f} mm of the one, {of_arrays['tre']:.4f} of the other")
    end = arrays[6, 12, 9] + (6, 12, 9)
    error = numpy.linalg.norm(moving_affine[:3, :3] @ (end - numpy.loadtxt(folder / "moving.csv", delimiter=",")[2]))
    check(abs(of_arrays["tre/2"] - error) < 1e-3, f"a key-point on a voxel by hand: {error:.4f} mm")


with tempfile.TemporaryDirectory(prefix="regatta-fields-") as made:
    main(pathlib.Path(made))
