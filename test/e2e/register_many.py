#!/usr/bin/env python3
"""Many pairs through `regatta-engine register`, with the way back, the Jacobian and instance optimisation.

usage: register_many.py BIN_DIR

A list with a broken scan in it: the others are registered, the broken one is named, and the same call again does what is
left alone. The inverse field composed with the field is the identity, the determinant is numpy's, `jacobian` measures
what `evaluate` does, and refinement lowers the loss to the same bits twice. Skips by name where nibabel or numpy is not
installed.
"""
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import nibabel
    import numpy
except ImportError as missing:
    print(f"SKIPPED: register_many: {missing.name}")
    sys.exit(0)

BIN = pathlib.Path(sys.argv[1])
RECIPE = {
    "data": {"archive": "scene.h5"},
    "model": {"name": "voxelmorph-custom", "options": {"encoder": [4, 8, 8, 8], "decoder": [8, 8, 8, 8, 8, 4, 4]}},
    "losses": {"ncc": {"weight": 1, "options": {"window": 5}}, "grad": {"weight": 0.1}},
    "optim": {"lr": 0.005}, "train": {"steps": 90}, "validation": {"every_epochs": 30, "best": "ncc", "metrics": ["ncc", "dice", "folding", "sdlogj"]},
    "run": {"device": "cpu", "threads": 1},
}
FIXED = numpy.diag([1.0, 1, 1, 1])
MOVING = numpy.array([[0.0, 0, -1, 16], [1, 0, 0, -1], [0, 0.5, 0, -0.5], [0, 0, 0, 1]])


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text, flush=True)
    if not condition:
        sys.exit(1)


def run(*arguments, code=0):
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True)
    check(done.returncode == code, f"{' '.join(map(str, arguments[1:3]))} ends with {done.returncode} {done.stderr[-400:] if done.returncode != code else ''}")
    return done


def write_scan(path, shape, affine, shift):
    index = numpy.stack(numpy.meshgrid(*map(numpy.arange, shape), indexing="ij"), -1)
    points = index @ affine[:3, :3].T + affine[:3, 3] - numpy.asarray(shift)
    image = 0.9 * numpy.exp(-((points - (7.5, 10, 7.5)) ** 2).sum(-1) / 18) + 0.6 * numpy.exp(-((points - (7.5, 21, 8.5)) ** 2).sum(-1) / 10)
    nibabel.save(nibabel.Nifti1Image(image.astype(numpy.float32), affine), path)
    nibabel.save(nibabel.Nifti1Image((image > 0.3).astype(numpy.int16), affine), str(path).replace(".nii", "_seg.nii"))


def rows(folder):
    with open(folder / "registrations.csv", newline="") as file:
        return list(csv.DictReader(file))


def write_points(path, points):
    path.write_text("name,x,y,z\n" + "".join(f"p{i},{x},{y},{z}\n" for i, (x, y, z) in enumerate(points)))


def read_points(path):
    with open(path, newline="") as file:
        return numpy.array([[float(row[axis]) for axis in "xyz"] for row in csv.DictReader(file)])


LISTED = """fixed,moving,fixed_labels,moving_labels,fixed_points,moving_points,name
f.nii.gz,m1.nii.gz,f_seg.nii.gz,m1_seg.nii.gz,f_points.csv,m1_points.csv,
f.nii.gz,broken.nii.gz,,,,,bad
f.nii.gz,missing.nii.gz,,,,,gone
"f.nii.gz",m2.nii.gz,,,,,second
"""
OUTPUTS = ["displacement.nii.gz", "fixed_points_in_moving.csv", "inverse_displacement.nii.gz", "inverse_warped.nii.gz", "jacobian.nii.gz", "moving_points_in_fixed.csv", "registration.json", "registration.png", "warped.nii.gz", "warped_labels.nii.gz"]
WRONG_LISTS = (
    ("fixed,moving\nf.nii.gz,m1.nii.gz\nf.nii.gz,m1.nii.gz\n", "line 3: name 'm1_to_f' twice"),
    ("fixed,movin\nf.nii.gz,m1.nii.gz\n", "line 1: unknown column 'movin'"),
    ("fixed,moving\n", "no pairs"),
    ("fixed,moving\nf.nii.gz\n", "line 2: 'f.nii.gz': 1 cells, 2 expected"),
    ("fixed,moving,fixed_frame\nf.nii.gz,m1.nii.gz,first\n", "line 2: fixed_frame 'first'"),
    ("fixed,moving\nf.nii.gz,\n", "line 2: moving is missing"),
    ("fixed,moving,name\nf.nii.gz,m1.nii.gz,a/b\n", "line 2: name 'a/b'"),
)


def many(folder, weights):
    (folder / "pairs.csv").write_text(LISTED)
    (folder / "broken.nii.gz").write_bytes((folder / "m1.nii.gz").read_bytes()[:200])
    points = numpy.array([(5.0, 9, 8), (8, 12, 7), (7, 20, 8)])
    write_points(folder / "f_points.csv", points)
    write_points(folder / "m1_points.csv", points + (0.8, -1.2, 0.6))
    call = (BIN / "regatta-engine", "register", "--model", weights, "--pairs", folder / "pairs.csv", "-o", folder / "many", "--device", "cpu", "--inverse", "--jacobian", "--points-unit", "ras")
    said = run(*call, code=3)
    table = rows(folder / "many")
    check([row["status"] for row in table] == ["done", "failed", "failed", "done"], "the broken pairs fail, the others are done")
    check("broken.nii.gz" in table[1]["reason"] and "missing.nii.gz" in table[2]["reason"], "the table names the broken and the missing scan")
    check("pairs.csv: line 3 (bad)" in said.stderr and "pairs.csv: line 4 (gone)" in said.stderr, "the log names their rows")
    first = folder / "many/m1_to_f"
    check(sorted(path.name for path in first.iterdir()) == OUTPUTS, "every output under its name")
    check(not (folder / "many/bad").exists(), "nothing of the broken pair")
    resumed(folder, call, first)
    alone = folder / "alone"
    run(BIN / "regatta-engine", "register", "--model", weights, "--fixed", folder / "f.nii.gz", "--moving", folder / "m1.nii.gz", "-o", alone, "--device", "cpu")
    same = nibabel.load(alone / "displacement.nii.gz").get_fdata() == nibabel.load(first / "displacement.nii.gz").get_fdata()
    check(same.all(), "a pair of a list gets the field that it gets alone")
    for text, wrong in WRONG_LISTS:
        (folder / "wrong.csv").write_text(text)
        said = run(BIN / "regatta-engine", "register", "--model", weights, "--pairs", folder / "wrong.csv", "-o", folder / "none", "--device", "cpu", code=2)
        check(wrong in said.stderr and not (folder / "none").exists(), f"a wrong list is refused: {said.stderr.strip()[-90:]}")
    return first


def resumed(folder, call, first):
    before = {path: path.stat().st_mtime_ns for path in first.iterdir()}
    (folder / "many/second/registration.json").unlink()
    good = [line for line in LISTED.splitlines() if "broken" not in line and "missing" not in line]
    (folder / "pairs.csv").write_text("\n".join(good))
    run(*call)
    check([row["status"] for row in rows(folder / "many")] == ["kept", "done"], "the same call again does what is left")
    check(before == {path: path.stat().st_mtime_ns for path in first.iterdir()}, "and does not touch what was done")
    (first / "jacobian.nii.gz").unlink()
    run(*call)
    check([row["status"] for row in rows(folder / "many")] == ["done", "kept"] and (first / "jacobian.nii.gz").exists(), "a pair that lost an output is done again")
    (folder / "m2.nii.gz").touch()
    run(*call)
    check([row["status"] for row in rows(folder / "many")] == ["kept", "done"], "so is one whose scan has changed")
    run(*call, "--outside", 0.5)
    check([row["status"] for row in rows(folder / "many")] == ["done", "done"], "other options do all again")


def points_and_labels(folder, first):
    record = json.loads((first / "registration.json").read_text())
    fixed = read_points(folder / "f_points.csv")
    there = read_points(first / "fixed_points_in_moving.csv")
    run(BIN / "regatta", "warp", "--points", folder / "f_points.csv", "--points-of", "fixed", "--points-unit", "ras", "-t", first / "displacement.nii.gz", "-o", folder / "warped.csv")
    check(numpy.abs(there - read_points(folder / "warped.csv")).max() < 1e-4, "points of the fixed scan go where warp takes them")
    write_points(folder / "there.csv", there)
    run(BIN / "regatta", "warp", "--points", folder / "there.csv", "--points-of", "moving", "--points-unit", "ras", "-t", first / "displacement.nii.gz", "-o", folder / "back.csv")
    check(numpy.abs(read_points(folder / "back.csv") - fixed).max() < 0.02, "and come back by the inverse")
    distance = numpy.linalg.norm(there - read_points(folder / "m1_points.csv"), axis=1).mean()
    check(abs(record["metrics"]["tre"]["after"] - distance) < 1e-4 and record["metrics"]["tre"]["before"] > 0, f"tre {record['metrics']['tre']}")
    case = {"name": "p", "field": str(first / "displacement.nii.gz"), "fixed": str(folder / "f.nii.gz"), "moving": str(folder / "m1.nii.gz"), "fixed_labels": str(folder / "f_seg.nii.gz"), "moving_labels": str(folder / "m1_seg.nii.gz")}
    (folder / "dice.json").write_text(json.dumps({"metrics": ["dice"], "cases": [case]}))
    run(BIN / "regatta-engine", "evaluate", folder / "dice.json", "-o", folder / "dice_report.json", "--device", "cpu")
    measured = json.loads((folder / "dice_report.json").read_text())["cases"][0]["values"]["dice"]
    check(abs(record["metrics"]["dice"]["after"] - measured) < 1e-12, f"dice {measured:.4f} is that of evaluate")
    run(BIN / "regatta-engine", "register", "--model", folder / "w.safetensors", "--fixed", folder / "f.nii.gz", "--moving", folder / "m1.nii.gz", "--fixed-points", folder / "f_points.csv", "-o", folder / "no", code=2)


def archived(folder, weights):
    call = (BIN / "regatta-engine", "register", "--model", weights, "--archive", folder / "scene.h5", "-o", folder / "packed", "--device", "cpu")
    said = run(*call, "--split", "val")
    table = rows(folder / "packed")
    check(table and all(row["status"] == "done" for row in table), f"{len(table)} pairs of an archive's split are registered")
    record = json.loads((folder / "packed" / table[0]["name"] / "registration.json").read_text())
    check(record["place"]["rule"] == "archive" and record["metrics"]["ncc"]["after"] != record["metrics"]["ncc"]["before"], f"with metrics {record['metrics']}")
    said = run(*call, "--split", "nothing", code=2)
    check("split 'nothing' has no pairs" in said.stderr, "a split without pairs is refused")
    said = run(*call, "--pairs", folder / "pairs.csv", code=2)
    check("one of them per call" in said.stderr, "so are two sources of pairs")


def voxels_of(path, affine):
    """The displacement in voxels of the grid, [D, H, W, 3]."""
    lps = nibabel.load(path).get_fdata()[..., 0, :] * (-1, -1, 1)
    return lps @ numpy.linalg.inv(affine[:3, :3]).T


def way_back(folder, first):
    record = json.loads((first / "registration.json").read_text())
    check(record["inverse"]["mean_residual_mm"] < 0.01, f"the inverse's residual is {record['inverse']['mean_residual_mm']:.1e} mm")
    identity = folder / "identity.nii.gz"
    run(BIN / "regatta", "warp", "-t", first / "displacement.nii.gz", "-t", first / "inverse_displacement.nii.gz", "--compose", identity)
    moved = numpy.linalg.norm(voxels_of(identity, FIXED), axis=-1)[3:-3, 3:-3, 3:-3]
    check(moved.mean() < 0.1, f"the field and its inverse move voxels by {moved.mean():.1e} on average")
    u = voxels_of(first / "displacement.nii.gz", FIXED)
    jacobian = numpy.stack([numpy.stack(numpy.gradient(u[..., c]), -1) for c in range(3)], -2) + numpy.eye(3)
    ours = nibabel.load(first / "jacobian.nii.gz").get_fdata()
    check(numpy.abs(numpy.linalg.det(jacobian) - ours).max() < 1e-4, "the determinant is numpy's")
    run(BIN / "regatta-engine", "jacobian", first / "displacement.nii.gz", "-o", folder / "det.nii.gz", "--json", folder / "det.json", "--mask", folder / "f_seg.nii.gz")
    check((nibabel.load(folder / "det.nii.gz").get_fdata() == ours).all(), "`jacobian` writes the same image")
    summary = json.loads((folder / "det.json").read_text())
    inside = ours[nibabel.load(folder / "f_seg.nii.gz").get_fdata() != 0]
    check(summary["voxels"] == inside.size and abs(summary["determinant"]["mean"] - inside.mean()) < 1e-5, "its mask counts")
    case = {"name": "p", "field": str(first / "displacement.nii.gz"), "fixed_mask": str(folder / "f_seg.nii.gz")}
    (folder / "case.json").write_text(json.dumps({"metrics": ["folding", "sdlogj", "ndv"], "cases": [case]}))
    run(BIN / "regatta-engine", "evaluate", folder / "case.json", "-o", folder / "report.json", "--device", "cpu")
    measured = json.loads((folder / "report.json").read_text())["cases"][0]["values"]
    check(all(abs(summary["metrics"][name] - measured[name]) < 1e-12 for name in ("folding", "sdlogj", "sdlogj/l2r", "ndv")), "its numbers are those of evaluate")
    run(BIN / "regatta-engine", "jacobian", first / "displacement.nii.gz", "-o", folder / "log.nii.gz", "--log")
    check(numpy.abs(nibabel.load(folder / "log.nii.gz").get_fdata() - numpy.log(ours)).max() < 1e-5, "--log writes the logarithm")


def refinement(folder, weights):
    pair = (BIN / "regatta-engine", "register", "--model", weights, "--fixed", folder / "f.nii.gz", "--moving", folder / "m2.nii.gz", "--device", "cpu")
    run(*pair, "-o", folder / "plain")
    for name in ("once", "twice"):
        run(*pair, "-o", folder / name, "--refine", 40)
    record = json.loads((folder / "once/registration.json").read_text())
    done = record["refinement"]
    check(done["loss_after"] < done["loss_before"] and done["losses"] == ["grad", "ncc"], f"loss {done['loss_before']:.4f} -> {done['loss_after']:.4f} in {done['iterations']} iterations")
    plain = json.loads((folder / "plain/registration.json").read_text())
    check(all(record["metrics"][name]["network"] == value["after"] for name, value in plain["metrics"].items()), "the record keeps the network's own metrics")
    once, twice = ((folder / name / "displacement.nii.gz").read_bytes() for name in ("once", "twice"))
    check(once == twice and once != (folder / "plain/displacement.nii.gz").read_bytes(), "refinement gives the same bits twice")
    run(*pair, "-o", folder / "mse", "--refine", 2000, "--refine-loss", "mse:1,grad:0.1")
    done = json.loads((folder / "mse/registration.json").read_text())["refinement"]
    check(done["converged"] and done["iterations"] < 2000 and done["losses"] == ["grad", "mse"], f"other losses; ended after {done['iterations']} iterations")
    said = run(*pair, "-o", folder / "no", "--refine", 2, "--refine-loss", "nccc", code=2)
    check("nccc" in said.stderr, "an unknown loss is refused")


def ensemble(folder, weights, others):
    pair = ("--fixed", folder / "f.nii.gz", "--moving", folder / "m1.nii.gz", "--device", "cpu", "--initial", "physical")
    fields = []
    for name, models in (("a", [weights]), ("b", [others]), ("both", [weights, others])):
        run(BIN / "regatta-engine", "register", *[part for model in models for part in ("--model", model)], *pair, "-o", folder / name)
        fields.append(nibabel.load(folder / name / "displacement.nii.gz").get_fdata())
    off, apart = numpy.abs((fields[0] + fields[1]) / 2 - fields[2]).max(), numpy.abs(fields[0] - fields[1]).max()
    check(off < 1e-4 and apart > 0.01, f"an ensemble's field is the mean of two: off by {off:.1e} mm, they differ by {apart:.2f} mm")


def velocities(folder):
    """A network that predicts a velocity: its inverse is the negated velocity's, and the velocity is refined."""
    model = {"name": "voxelmorph", "options": {"encoder": [4, 8, 8, 8], "decoder": [8, 8, 8, 8, 8, 4, 4], "int_steps": 7}}
    weights = []
    for seed in (0, 3):
        (folder / f"velocity{seed}.json").write_text(json.dumps({**RECIPE, "model": model, "train": {"steps": 90, "seed": seed}}))
        run(BIN / "regatta-engine", "train", folder / f"velocity{seed}.json", "-o", folder / f"velocity{seed}")
        weights.append(folder / f"velocity{seed}")
    pair = ("--fixed", folder / "f.nii.gz", "--moving", folder / "m1.nii.gz", "--device", "cpu", "--initial", "physical", "--inverse")
    for name, models, more in (("va", weights[:1], ()), ("vb", weights[1:], ()), ("vboth", weights, ()), ("vrefined", weights[:1], ("--refine", 30))):
        run(BIN / "regatta-engine", "register", *[part for one in models for part in ("--model", one)], *pair, "-o", folder / name, *more)
        record = json.loads((folder / name / "registration.json").read_text())
        inverse = record["inverse"]
        exact = inverse["by"] == "network" and inverse["mean_residual_mm"] < 0.05  # of voxels of 0.5 mm
        check(exact or (more and inverse["by"] == "iteration"), f"{name}: the negated velocity is the inverse where it is exact, {inverse}")
        identity = folder / f"{name}_identity.nii.gz"
        run(BIN / "regatta", "warp", "-t", folder / name / "inverse_displacement.nii.gz", "-t", folder / name / "displacement.nii.gz", "--compose", identity)
        moved = numpy.linalg.norm(voxels_of(identity, MOVING), axis=-1)[3:-3, 3:-3, 3:-3]
        # A field that was refined at the border takes nothing to some of these voxels.
        check(moved.mean() < 0.1 or more, f"{name}: the inverse and the field move voxels by {moved.mean():.1e} on average")
    check(record["refinement"]["of"] == "velocity" and record["refinement"]["loss_after"] < record["refinement"]["loss_before"], f"the velocity is refined: {record['refinement']}")
    check(record["metrics"]["folding"]["after"] == 0, "and does not fold")
    fields = [nibabel.load(folder / name / "displacement.nii.gz").get_fdata() for name in ("va", "vb", "vboth")]
    off = numpy.abs((fields[0] + fields[1]) / 2 - fields[2]).max()
    check(1e-6 < off < 0.5, f"an ensemble of velocities integrates their mean: {off:.1e} mm from the mean of the fields")


def split_evaluation(folder, weights):
    run(BIN / "regatta-engine", "evaluate", "--model", weights, "--archive", folder / "scene.h5", "--split", "val", "-o", folder / "split.json", "--device", "cpu")
    report = json.loads((folder / "split.json").read_text())
    lines = map(json.loads, (weights.parent / "a1/metrics.jsonl").read_text().splitlines())
    best = max((line["values"] for line in lines if line["kind"] == "validation"), key=lambda values: values["ncc"])
    check(all(abs(report["metrics"][name]["mean"] - value) < 1e-9 for name, value in best.items()), f"evaluate of a split repeats the validation: {best}")
    record = json.loads((folder / "packed" / report["cases"][0]["name"] / "registration.json").read_text())
    for name, value in record["metrics"].items():
        check(abs(report["cases"][0]["values"][name] - value["after"]) < 1e-9, f"evaluate of a split and register agree: {name} {value['after']:.4f}")
    with open(folder / "split_labels.csv", newline="") as file:
        labels = list(csv.DictReader(file))
    check(labels and all(row["metric"] == "dice" and row["initial"] for row in labels), f"{len(labels)} lines of labels")
    dice = numpy.mean([float(row["value"]) for row in labels])
    check(abs(dice - report["metrics"]["dice"]["mean"]) < 1e-9, f"whose mean is the Dice, {dice:.4f}")
    with open(folder / "split_pairs.csv", newline="") as file:
        pairs = list(csv.DictReader(file))
    check(len(pairs) == len(report["cases"]) and float(pairs[0]["dice"]) == report["cases"][0]["values"]["dice"], "a line for each pair")
    said = run(BIN / "regatta-engine", "evaluate", "--model", weights, "--archive", folder / "scene.h5", "--split", "val", "--metrics", "tre", "--device", "cpu", code=2)
    check("key-points" in said.stderr, "a metric whose inputs the split lacks is refused")
    run(BIN / "regatta-engine", "evaluate", "--model", weights, "--archive", folder / "scene.h5", "--split", "val", "--refine", 20, "--method", "refined", "-o", folder / "refined.json", "--device", "cpu")
    refined = json.loads((folder / "refined.json").read_text())
    check(refined["metrics"]["ncc"]["mean"] > report["metrics"]["ncc"]["mean"], "refinement raises the NCC of the split")
    run(BIN / "regatta-engine", "evaluate", "--rank", folder / "split.json", folder / "refined.json")


def sweep_folder(folder):
    """A sweep's folder stands for its winner's weights."""
    if not (BIN / "regatta-launch").exists():
        print("SKIPPED: register_many: sweep_folder: no regatta-launch in this build", flush=True)
        return
    job = {"recipe": "recipe.json", "axes": {"/optim/lr": {"list": [0.005, 0.002]}}, "objective": {"metric": "ncc", "direction": "maximise"}}
    (folder / "job.json").write_text(json.dumps(job))
    run(BIN / "regatta", "sweep", folder / "job.json", "-o", folder / "sweep", "--ranks", 1)
    run(BIN / "regatta", "collect", folder / "sweep", "-o", folder / "collected")
    winner = json.loads((folder / "collected/report.json").read_text())["winner"]["weights"]
    run(BIN / "regatta", "register", "--model", folder / "sweep", "--archive", folder / "scene.h5", "--split", "val", "-o", folder / "won", "--device", "cpu")
    record = json.loads(next((folder / "won").glob("*/registration.json")).read_text())
    check(pathlib.Path(record["model"]).resolve() == pathlib.Path(winner).resolve(), f"the weights are the winner's: {record['model'][-40:]}")
    said = run(BIN / "regatta", "register", "--model", folder / "images", "--archive", folder / "scene.h5", "--split", "val", "-o", folder / "won", "--device", "cpu", code=3)
    check("images" in said.stderr, "a folder that is none is refused by name")


def doubts(folder, weights):
    """Scans unlike those of the training are named."""
    call = (BIN / "regatta-engine", "register", "--model", weights, "--fixed", folder / "f.nii.gz", "--device", "cpu")
    said = run(*call, "--moving", folder / "m1.nii.gz", "-o", folder / "usual")
    check("trained on" not in said.stderr and "doubts" not in json.loads((folder / "usual/registration.json").read_text()), "usual scans are not")
    write_scan(folder / "coarse.nii.gz", (8, 16, 8), numpy.diag([2.0, 2, 2, 1]), (0, 0, 0))
    said = run(*call, "--moving", folder / "coarse.nii.gz", "-o", folder / "coarse")
    check("coarse.nii.gz: voxels of 2.00 (1.00) x 2.00 (1.00) x 2.00 (1.00) mm: far from" in said.stderr, "thick voxels are named")
    check(len(json.loads((folder / "coarse/registration.json").read_text())["doubts"]) == 1, "also in the record")
    write_scan(folder / "wide.nii.gz", (40, 70, 40), numpy.diag([1.0, 1, 1, 1]), (0, 0, 0))
    said = run(*call, "--moving", folder / "wide.nii.gz", "-o", folder / "wide")
    check("wide.nii.gz: a view of 40 (16) x 70 (32) x 40 (16) mm: far from" in said.stderr, "a large view is named")
    numpy.savez(folder / "m.npz", vol=nibabel.load(folder / "f.nii.gz").get_fdata())
    said = run(*call, "--moving", folder / "m.npz", "-o", folder / "npz")
    check("m.npz: an npz file does not say where its axes lead: RAS is assumed" in said.stderr, "npz without axes is named")
    said = run(*call, "--moving", folder / "m.npz", "-o", folder / "npz", "--npz-orientation", "RAS")
    check("where its axes lead" not in said.stderr, "with axes it is not")


def start_from_file(folder, weights):
    shift = numpy.eye(4)
    shift[:3, 3] = (0.8, -1.2, 0.6)
    numpy.savetxt(folder / "greedy.mat", shift)
    pair = (BIN / "regatta-engine", "register", "--model", weights, "--fixed", folder / "f.nii.gz", "--moving", folder / "m1.nii.gz", "--device", "cpu")
    run(*pair, "-o", folder / "given", "--initial", folder / "greedy.mat")
    place = json.loads((folder / "given/registration.json").read_text())["place"]
    check(place["rule"] == "file" and numpy.allclose(numpy.reshape(place["fixed_to_moving"], (4, 4)), shift), "--initial FILE is where the moving scan lies at first")
    itk = "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\nParameters: 1 0 0 0 1 0 0 0 1 {} {} {}\nFixedParameters: 0 0 0\n"
    (folder / "itk.txt").write_text(itk.format(-0.8, 1.2, 0.6))  # LPS
    (folder / "back.tfm").write_text(itk.format(0.8, -1.2, -0.6))
    fields = [nibabel.load(folder / "given/displacement.nii.gz").get_fdata()]
    for name, given in (("itk", folder / "itk.txt"), ("inverted", f"[{folder / 'back.tfm'},1]")):
        run(*pair, "-o", folder / name, "--initial", given, "--save-affine")
        fields.append(nibabel.load(folder / name / "displacement.nii.gz").get_fdata())
    check(all(numpy.abs(field - fields[0]).max() < 1e-5 for field in fields), "ITK's affine, and an inverted one, give what greedy's does")
    check((folder / "itk/affine.mat").exists(), "the given affine is written for ANTs too")
    said = run(*pair, "-o", folder / "no", "--initial", folder / "given/displacement.nii.gz", code=3)
    check("affines only" in said.stderr, "a field is refused there")
    run(*pair, "-o", folder / "aligned", "--affine", "--save-affine")
    found = json.loads((folder / "aligned/registration.json").read_text())["affine"]["fixed_to_moving"]
    run(BIN / "regatta", "warp", "-t", folder / "aligned/affine.mat", "-r", folder / "f.nii.gz", "--compose", folder / "affine.nii.gz")
    u = voxels_of(folder / "affine.nii.gz", FIXED)[3, 4, 5]
    check(numpy.abs(numpy.reshape(found, (4, 4)) @ (3, 4, 5, 1) - (*(u + (3, 4, 5)), 1)).max() < 1e-4, "affine.mat is the affine that was found")


def main(folder):
    run(BIN / "make_scene", folder)
    (folder / "recipe.json").write_text(json.dumps(RECIPE))
    run(BIN / "regatta-engine", "train", folder / "recipe.json", "-o", folder / "run")
    weights = next((folder / "run").rglob("best.safetensors"))
    write_scan(folder / "f.nii.gz", (16, 32, 16), FIXED, (0, 0, 0))
    write_scan(folder / "m1.nii.gz", (34, 36, 18), MOVING, (0.8, -1.2, 0.6))
    write_scan(folder / "m2.nii.gz", (34, 36, 18), MOVING, (-0.5, 1.0, 0.3))
    (folder / "other.json").write_text(json.dumps({**RECIPE, "train": {**RECIPE["train"], "seed": 7}}))
    run(BIN / "regatta-engine", "train", folder / "other.json", "-o", folder / "other")
    ensemble(folder, weights, next((folder / "other").rglob("best.safetensors")))
    first = many(folder, weights)
    points_and_labels(folder, first)
    archived(folder, weights)
    split_evaluation(folder, weights)
    way_back(folder, first)
    velocities(folder)
    refinement(folder, weights)
    doubts(folder, weights)
    (folder / "images").mkdir()
    sweep_folder(folder)
    start_from_file(folder, weights)


with tempfile.TemporaryDirectory(prefix="regatta-many-") as made:
    main(pathlib.Path(made))
