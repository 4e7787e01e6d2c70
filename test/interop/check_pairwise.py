#!/usr/bin/env python3
"""`voxelmorph-pairwise` beside the package it is of (pip install voxelmorph), with the package's weights and with ours.

usage: check_pairwise.py BIN_DIR      Python with voxelmorph, torch, nibabel and numpy; skips by name without one

For several forms of the class VxmPairwise: a state dict that the package saved, through tools/pth_to_safetensors.py and
`regatta convert edit --model`, gives through `regatta register` the displacement and the warped scan that the package gives.
Weights of `regatta convert new`, through tools/safetensors_to_pth.py, load into the class with
load_state_dict(strict=True) and give `register`'s displacement there.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("VXM_BACKEND", "pytorch")
os.environ.setdefault("NEURITE_BACKEND", "pytorch")
try:
    import nibabel
    import numpy
    import torch
    import voxelmorph
    VxmPairwise = voxelmorph.nn.models.VxmPairwise
except (ImportError, AttributeError) as missing:
    print(f"SKIPPED: check_pairwise: {missing.name}")
    sys.exit(0)

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME = "voxelmorph-pairwise"
SIZE = (64, 96, 32)
# Options of the class, and ours.
FORMS = {"as it comes": ({}, {}),
         "displacement": ({"integration_steps": 0}, {"int_steps": 0}),
         "other features": ({"nb_features": [[8, 12, 16], [20, 12, 8]], "integration_steps": 7},
                            {"features": [8, 12, 16], "up_features": [20, 12, 8], "int_steps": 7}),
         "levels without a convolution": ({"nb_features": [0, 16, 8]}, {"features": [0, 16, 8]})}


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text, flush=True)
    if not condition:
        sys.exit(1)


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    check(done.returncode == 0, " ".join(pathlib.Path(str(part)).name for part in command[:2]) + (done.stderr[-400:] if done.returncode else ""))


def tool(name, *arguments):
    run(sys.executable, ROOT / "tools" / name, *arguments)


def scan(seed):
    """Smooth, in 0..1, float32 of SIZE."""
    draw = numpy.random.default_rng(seed)
    place = numpy.stack(numpy.meshgrid(*map(numpy.arange, SIZE), indexing="ij"), -1)
    image = numpy.zeros(SIZE)
    for _ in range(12):
        centre, width = draw.uniform(0.2, 0.8, 3) * SIZE, draw.uniform(4, 12)
        image += draw.uniform(0.3, 1) * numpy.exp(-((place - centre) ** 2).sum(-1) / width ** 2)
    return (image / image.max()).astype(numpy.float32)


def package_model(options):
    """Of weights with which fields are some voxels long."""
    torch.manual_seed(7)
    model = VxmPairwise(3, 1, 1, flow_initializer=0.5, **options)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.startswith("model.") and name.endswith("weight"):
                value.mul_(1.6)  # against the shrinking of values from layer to layer
    return model.eval()


class Pair:
    """The made-up pair as files and as the package takes it."""

    def __init__(self, folder):
        self.folder = folder
        self.scans = [scan(1), scan(2)]
        for name, voxels in zip(("moving", "fixed"), self.scans):
            nibabel.save(nibabel.Nifti1Image(voxels, numpy.eye(4)), folder / f"{name}.nii.gz")
        (folder / "dataset.json").write_text(json.dumps({"preprocess": {
            "orientation": "RAS", "spacing_mm": [1, 1, 1], "shape": SIZE, "intensity": {"kind": "none"}, "type": "float32"}}))

    def by_package(self, model):
        """Displacement [D, H, W, 3] in voxels, warped scan."""
        with torch.no_grad():
            moving, fixed = (torch.from_numpy(voxels)[None, None] for voxels in self.scans)
            field, warped = model(moving, fixed, return_warped_source=True)
        return field[0].permute(1, 2, 3, 0).numpy(), warped[0, 0].numpy()

    def by_register(self, engine, weights):
        out = self.folder / "out"
        run(engine, "register", "--model", weights, "--moving", self.folder / "moving.nii.gz", "--fixed", self.folder / "fixed.nii.gz", "-o", out,
            "--initial", "physical", "--outside", 0, "--field-format", "learn2reg", "--device", "cpu")
        return tuple(nibabel.load(out / f"{name}.nii.gz").get_fdata(dtype=numpy.float32) for name in ("displacement", "warped"))


def difference(ours, theirs):
    return float(numpy.linalg.norm(ours.astype(float) - theirs) / numpy.linalg.norm(theirs.astype(float)))


def read_inside(field):
    """Where the moving scan is read between its voxels: at its border `register` has its own rule (--outside)."""
    place = field + numpy.stack(numpy.meshgrid(*map(numpy.arange, SIZE), indexing="ij"), -1)
    return ((place >= 0) & (place <= numpy.array(SIZE) - 1)).all(-1)


def check_form(engine, pair, name, package, options):
    file = {part: pair.folder / f"{part}.safetensors" for part in ("converted", "theirs", "fresh")}
    pth = pair.folder / "weights.pth"
    for path in (*file.values(), pth):
        path.unlink(missing_ok=True)
    network = ("--model-options", json.dumps(options), "--preprocess", pair.folder / "dataset.json")
    model = package_model(package)
    torch.save(model.state_dict(), pth)
    tool("pth_to_safetensors.py", pth, file["converted"])
    run(engine, "convert", "edit", file["converted"], "--model", NAME, *network, "-o", file["theirs"])
    theirs, ours = pair.by_package(model), pair.by_register(engine, file["theirs"])
    length = float(numpy.abs(theirs[0]).mean())
    inside = read_inside(theirs[0])
    found = [difference(ours[0], theirs[0]), difference(ours[1][inside], theirs[1][inside])]
    check(length > 0.2 and inside.mean() > 0.8 and found[0] < 1e-4 and found[1] < 1e-4,
          f"{name}: the package's weights, displacements of {length:.2f} voxels: differs by {found[0]:.1e} of the field's norm, the warped scan by {found[1]:.1e}")

    run(engine, "convert", "new", NAME, "--seed", 5, *network, "-o", file["fresh"])
    pth.unlink()
    tool("safetensors_to_pth.py", file["fresh"], pth, "--buffers")
    fresh = VxmPairwise(3, 1, 1, **package)
    state = torch.load(pth, weights_only=True)
    fresh.load_state_dict(state, strict=True)
    check(list(state) == list(fresh.state_dict()), f"{name}: our {len(state)} names, in the package's order")
    found = difference(pair.by_register(engine, file["fresh"])[0], pair.by_package(fresh.eval())[0])
    check(found < 1e-4, f"{name}: our weights in the package: differs by {found:.1e} of the field's norm")


def main():
    engine = pathlib.Path(sys.argv[1]) / "regatta-engine"
    torch.set_num_threads(1)
    print(f"        voxelmorph {voxelmorph.__version__}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory(prefix="regatta-pairwise-") as folder:
        pair = Pair(pathlib.Path(folder))
        for name, (package, options) in FORMS.items():
            check_form(engine, pair, name, package, options)


if __name__ == "__main__":
    main()
