#!/usr/bin/env python3
"""`regatta register` on scans that lie differently in space, read by SimpleITK: cut at two places, oblique, without a
space (npz), and a CT that ends inside the fixed one. The network has learnt nothing (fields of a hundredth of a voxel),
so what is left is where the moving scan was put: 0 mm is right.

usage: check_register.py BIN_DIR [--keep DIR]

Takes the brain of ../shared/data or $REGATTA_TEST_DATA at 2 mm, else a made-up head. Skips by name where SimpleITK,
nibabel or the engine are missing.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import nibabel
    import numpy
    import SimpleITK
except ImportError as missing:
    print(f"SKIPPED: check_register: {missing.name}")
    sys.exit(0)


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text, flush=True)
    if not condition:
        sys.exit(1)


def run(program, *arguments):
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True)
    check(done.returncode == 0, f"{program.name} {arguments[0]}" + ("" if done.returncode == 0 else f": exit code {done.returncode}\n{done.stdout}{done.stderr}"))
    return done.stdout + done.stderr


def save(path, voxels, affine):
    nibabel.save(nibabel.Nifti1Image(numpy.asarray(voxels, numpy.float32), affine), path)


def brain():
    """Voxels 0..1 and affine, 2 mm, about 80 x 96 x 112."""
    data = pathlib.Path(os.environ.get("REGATTA_TEST_DATA", pathlib.Path(__file__).parents[3] / "shared/data"))
    if (data / "oasis_brain_a.nii.gz").exists():
        scan = nibabel.load(data / "oasis_brain_a.nii.gz")
        voxels = scan.get_fdata(dtype=numpy.float32)
        voxels = sum(voxels[i::2, j::2, k::2] for i in (0, 1) for j in (0, 1) for k in (0, 1)) / 8
        shift = numpy.eye(4)
        shift[:3, 3] = 0.5
        return voxels, scan.affine @ shift @ numpy.diag([2, 2, 2, 1])
    print("        made-up head: oasis_brain_a.nii.gz is not there")
    d, h, w = numpy.meshgrid(*[numpy.linspace(-1, 1, n) for n in (80, 96, 112)], indexing="ij")
    blob = lambda d0, h0, w0, r: numpy.clip(1.5 - (((d - d0) ** 2 + (h - h0) ** 2 + (w - w0) ** 2) / r ** 2), 0, 1)
    return 0.6 * blob(0, 0, 0, 0.6) + 0.3 * blob(0.2, 0.1, -0.2, 0.2), numpy.array(
        [[-2, 0, 0, 79.5], [0, 0, 2, -111], [0, -2, 0, 95], [0, 0, 0, 1.0]])


def oblique(voxels, affine):
    """The scan as one that was turned by 20 degrees about each axis and moved would have it, by SimpleITK."""
    source = SimpleITK.GetImageFromArray(voxels.transpose(2, 1, 0))
    flip = numpy.diag([-1.0, -1, 1, 1]) @ affine
    spacing = numpy.linalg.norm(flip[:3, :3], axis=0)
    source.SetSpacing(spacing.tolist())
    source.SetDirection((flip[:3, :3] / spacing).flatten().tolist())
    source.SetOrigin(flip[:3, 3].tolist())
    middle = source.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in source.GetSize()])
    turn = SimpleITK.Euler3DTransform(middle, *numpy.radians([20.0, 20, 20]).tolist(), [12.0, -16, 8])
    direction = numpy.array(turn.GetMatrix()).reshape(3, 3) @ (flip[:3, :3] / spacing)
    grid = SimpleITK.Image(source.GetSize(), SimpleITK.sitkFloat32)
    grid.SetSpacing(source.GetSpacing())
    grid.SetDirection(direction.flatten().tolist())
    grid.SetOrigin(turn.TransformPoint(source.GetOrigin()))
    turned = SimpleITK.Resample(source, grid, SimpleITK.Transform(), SimpleITK.sitkLinear, 0.0)
    to_ras = numpy.eye(4)
    to_ras[:3, :3] = direction * spacing
    to_ras[:3, 3] = grid.GetOrigin()
    return SimpleITK.GetArrayFromImage(turned).transpose(2, 1, 0), numpy.diag([-1.0, -1, 1, 1]) @ to_ras


class Pair:
    """One registration and what SimpleITK makes of its files."""

    def __init__(self, engine, folder, name, weights, fixed, moving, *options, placed=None):
        self.out = folder / name
        self.said = run(engine, "register", "--model", weights, "--fixed", fixed, "--moving", moving, "-o", self.out, "--device", "cpu", *options)
        self.record = json.loads((self.out / "registration.json").read_text())
        fixed_image = SimpleITK.ReadImage(str(fixed))
        field = SimpleITK.ReadImage(str(self.out / "displacement.nii.gz"), SimpleITK.sitkVectorFloat64)
        lengths = numpy.linalg.norm(SimpleITK.GetArrayFromImage(field), axis=-1)
        self.length = lengths.mean()
        self.warped = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(self.out / "warped.nii.gz")))
        self.fixed = SimpleITK.GetArrayFromImage(fixed_image)
        outside = self.record["outside"]["value"]
        moving_image = SimpleITK.ReadImage(str(placed or moving), SimpleITK.sitkFloat32)
        theirs = SimpleITK.Resample(moving_image, fixed_image, SimpleITK.DisplacementFieldTransform(field), SimpleITK.sitkLinear, outside)
        difference = numpy.abs(SimpleITK.GetArrayFromImage(theirs) - self.warped)
        scale = self.warped.max() - self.warped.min()
        differ = numpy.mean(difference > 1e-3 * scale)
        check(differ < 0.01, f"{name}: SimpleITK's warped image is ours ({differ:.2%} of voxels differ, at the border of the view)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin_dir", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path, help="work there and leave it, to look at")
    arguments = parser.parse_args()
    temporary = None if arguments.keep else tempfile.TemporaryDirectory(prefix="regatta-register-")
    folder = arguments.keep or pathlib.Path(temporary.name)
    folder.mkdir(parents=True, exist_ok=True)
    regatta, engine = arguments.bin_dir / "regatta", arguments.bin_dir / "regatta-engine"
    if not engine.exists():
        print("SKIPPED: check_register: no regatta-engine in this build")
        return

    voxels, affine = brain()
    shape = voxels.shape
    shift = lambda start: affine @ numpy.array([[1, 0, 0, start], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    save(folder / "whole.nii.gz", voxels, affine)
    save(folder / "fixed.nii.gz", voxels[:70], affine)
    save(folder / "moving.nii.gz", voxels[10:], shift(10))
    save(folder / "oblique.nii.gz", *oblique(voxels, affine))
    numpy.savez_compressed(folder / "scan.npz", vol=voxels)
    other = affine.copy()
    other[:3, 3] += [90, 40, -60]
    save(folder / "elsewhere.nii.gz", voxels, other)
    ct = numpy.where(voxels > 0.02, 1000 * voxels - 100, -1000)
    save(folder / "ct.nii.gz", ct, affine)
    save(folder / "ct_part.nii.gz", ct[40:], shift(40))

    weights = {}
    for name, intensity, scans in (("brain", {"kind": "minmax"}, ("whole", "moving")), ("ct", {"kind": "window", "low": -1000, "high": 800}, ("ct", "ct_part"))):
        dataset = {"schema": 1, "subjects": [{"id": scan, "image": f"{scan}.nii.gz"} for scan in scans],
                   "preprocess": {"orientation": "LIA", "spacing_mm": [2, 2, 2], "shape": list(shape), "intensity": intensity, "type": "float32"}}
        (folder / f"{name}.json").write_text(json.dumps(dataset))
        run(regatta, "pack", folder / f"{name}.json", "-o", folder / f"{name}.h5", "--force")
        weights[name] = folder / f"{name}.safetensors"
        run(engine, "convert", "new", "voxelmorph-custom", "--model-options", '{"encoder": [4, 4, 4, 4], "decoder": [4, 4, 4, 4, 4, 4, 4]}',
            "--preprocess-from", folder / f"{name}.h5", "-o", weights[name], "--force")

    def pair(name, fixed, moving, *options, network="brain", placed=None):
        return Pair(engine, folder, name, weights[network], folder / fixed, folder / moving, *options, placed=placed)

    cut = pair("cut", "fixed.nii.gz", "moving.nii.gz")
    check(cut.record["place"]["rule"] == "physical" and cut.length < 0.05, f"cut at two places: {cut.length:.3f} mm of displacement on average, 0 is right")
    inside = numpy.zeros(cut.fixed.shape, bool)
    inside[:, :, 10:] = True  # arrays of SimpleITK are reversed
    check(numpy.abs(cut.warped - cut.fixed)[inside].max() < 0.02, "cut: what both show is the same")
    centred = pair("cut_centre", "fixed.nii.gz", "moving.nii.gz", "--initial", "centre")
    check(abs(centred.length - 20) < 0.2, f"cut, --initial centre: {centred.length:.1f} mm, the 10 voxels between their middles")

    turned = pair("oblique", "whole.nii.gz", "oblique.nii.gz")
    check(turned.record["place"]["rule"] == "physical" and turned.length < 0.05, f"oblique: {turned.length:.3f} mm of displacement on average, 0 is right")
    turned_centre = pair("oblique_centre", "whole.nii.gz", "oblique.nii.gz", "--initial", "centre")
    check(turned_centre.length > 20, f"oblique, --initial centre: {turned_centre.length:.1f} mm")

    npz = pair("npz", "whole.nii.gz", "scan.npz", "--npz-orientation", "LIA", placed=folder / "npz/moving_placed.nii.gz")
    check(npz.record["place"]["rule"] == "centre" and not npz.record["place"]["common_space"] and npz.length < 0.05,
          f"npz: put about the middle, as the record says, {npz.length:.3f} mm of displacement on average")
    check("have no common space" in npz.said, "npz: it is said")

    far = pair("elsewhere", "whole.nii.gz", "elsewhere.nii.gz")
    moved = numpy.linalg.norm([90, 40, -60])
    check(far.record["place"]["rule"] == "foreground" and abs(far.length - moved) < 2, f"elsewhere: put by the foregrounds, {far.length:.1f} of {moved:.1f} mm")
    check(numpy.abs(far.warped - far.fixed).mean() < 0.02, "elsewhere: the brains lie on each other")
    named = pair("elsewhere_physical", "whole.nii.gz", "elsewhere.nii.gz", "--initial", "physical")
    check("expected at least 0.5; --initial " in named.said, "elsewhere, --initial physical: the bad place is named with what helps")

    body = pair("ct", "ct.nii.gz", "ct_part.nii.gz", network="ct")
    share = body.record["outside"]["share"]
    check(abs(share - 0.5) < 0.02 and body.record["outside"]["value"] == -1000, f"CT: {share:.0%} of the image lies outside the moving scan and is air, not water")
    check(numpy.abs(body.warped[:, :, :39] + 1000).max() < 1e-3, "CT: -1000 where there is no scan")
    asked = pair("ct_outside", "ct.nii.gz", "ct_part.nii.gz", "--outside", "-1024", network="ct")
    check(asked.record["outside"] == {"value": -1024, "from": "option", "share": share} and asked.warped.min() == -1024, "CT: --outside -1024")
    check(body.record["outside"]["from"] == "window" and cut.record["outside"] == {**cut.record["outside"], "value": 0, "from": "background"}, "the record says where the value is from")


if __name__ == "__main__":
    main()
