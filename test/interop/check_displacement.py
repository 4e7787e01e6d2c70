#!/usr/bin/env python3
"""Checks our NIfTI files against SimpleITK and nibabel, on oblique, anisotropic grids of unequal size.

usage: check_displacement.py TEST_VOLUME    (the executable test_volume of the build)

The displacement field must be a transform for SimpleITK as it is: resampling the moving scan with it must give the
warped scan that we wrote. Skips by name where SimpleITK or nibabel is not installed.
"""
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
    print(f"SKIPPED: check_displacement: {missing.name}")
    sys.exit(0)


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text)
    if not condition:
        sys.exit(1)


def resampled(folder, moving, method, outside):
    fixed = SimpleITK.ReadImage(str(folder / "fixed.nii.gz"))
    field = SimpleITK.ReadImage(str(folder / "displacement.nii.gz"), SimpleITK.sitkVectorFloat64)
    check(field.GetSize() == fixed.GetSize() and field.GetNumberOfComponentsPerPixel() == 3, "field is a 3-D vector image on the fixed grid")
    transform = SimpleITK.DisplacementFieldTransform(field)
    image = SimpleITK.ReadImage(str(folder / moving))
    return SimpleITK.GetArrayFromImage(SimpleITK.Resample(image, fixed, transform, method, outside))


def worst_corner(image, affine):
    """The largest distance, in voxels, between where SimpleITK and an affine (RAS) put a corner."""
    worst = 0.0
    for corner in numpy.ndindex(2, 2, 2):
        voxel = [c * (n - 1) for c, n in zip(corner, image.GetSize())]
        theirs = numpy.array(image.TransformIndexToPhysicalPoint(voxel)) * [-1, -1, 1]
        worst = max(worst, numpy.abs((numpy.linalg.inv(affine) @ [*theirs, 1])[:3] - voxel).max())
    return worst


def check_sheared(folder, grids):
    """ITK takes right angles alone: what it reads must lie where we say, and what it cannot read we warn of."""
    for name, readable in (("kept", True), ("nearest", True), ("alone", False)):
        affine = numpy.array(grids[f"sheared_{name}_affine"]).reshape(4, 4)
        for kind in ("image", "field"):
            path = str(folder / f"sheared_{name}_{kind}.nii.gz")
            check(numpy.allclose(nibabel.load(path).get_sform(), affine, atol=1e-4), f"nibabel: sform of sheared_{name}_{kind}")
            try:
                read = SimpleITK.ReadImage(path)
            except RuntimeError:
                check(not readable, f"SimpleITK refuses sheared_{name}_{kind}, as its warning says")
                continue
            shift = worst_corner(read, affine)
            check(readable and shift < 0.1, f"SimpleITK reads sheared_{name}_{kind}, {shift:.4f} voxels from where we put it")


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="regatta-interop-"))
    environment = dict(os.environ, REGATTA_INTEROP_FOLDER=str(folder))
    subprocess.run([sys.argv[1], "[.interop]"], env=environment, check=True, stdout=subprocess.DEVNULL)
    grids = json.loads((folder / "grids.json").read_text())

    for name, key in (("fixed.nii.gz", "fixed_affine"), ("moving.nii", "moving_affine"), ("displacement.nii.gz", "fixed_affine")):
        read = nibabel.load(folder / name)
        wanted = numpy.array(grids[key]).reshape(4, 4)
        check(numpy.allclose(read.get_sform(), wanted, atol=1e-4), f"nibabel: sform of {name}")
        check(numpy.allclose(read.get_qform(), wanted, atol=1e-4), f"nibabel: qform of {name}")
    header = nibabel.load(folder / "displacement.nii.gz").header
    check(header["dim"][0] == 5 and tuple(header["dim"][4:6]) == (1, 3) and header["intent_code"] == 1007, "nibabel: 5-D, intent 1007")

    check_sheared(folder, grids)
    ours = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "warped.nii.gz")))
    theirs = resampled(folder, "moving.nii", SimpleITK.sitkLinear, -1.0)
    inside = (ours >= 0) & (theirs >= 0)
    edge = numpy.mean((ours >= 0) != (theirs >= 0))
    worst = numpy.abs(ours - theirs)[inside].max()
    print(f"        {inside.mean():.1%} of voxels inside, largest difference {worst:.2e}, {edge:.2%} differ at the border of the view")
    check(inside.mean() > 0.5 and worst < 1e-4 and edge < 0.005, "SimpleITK: resampling with our field gives our warped scan")

    ours = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "warped_labels.nii.gz")))
    theirs = resampled(folder, "labels.nii.gz", SimpleITK.sitkNearestNeighbor, 0)
    same = numpy.mean(ours == theirs)
    check(same > 0.999, f"SimpleITK: nearest labels agree in {same:.3%} of voxels")


if __name__ == "__main__":
    main()
