#!/usr/bin/env python3
"""Checks packing and the way back against SimpleITK and nibabel, on oblique, anisotropic, flipped and turned grids.

usage: check_round_trip.py TEST_VOLUME    (the executable test_volume of the build)

Each scan is packed twice: with its own spacing (nothing is resampled) and at 1 mm. What was packed, and what comes back
onto the scan's own grid, must be what the other programs make of the same files. Skips by name where SimpleITK or
nibabel is not installed.
"""
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
    print(f"SKIPPED: check_round_trip: {missing.name}")
    sys.exit(0)


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text, flush=True)
    if not condition:
        sys.exit(1)


def array(path):
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))


def resampled(source, target, method, outside):
    image, grid = (SimpleITK.ReadImage(str(path)) for path in (source, target))
    return SimpleITK.GetArrayFromImage(SimpleITK.Resample(image, grid, SimpleITK.Transform(), method, outside))


def away_from_ties(source, target):
    """Voxels of `target` that lie nearer to one voxel of `source` than to any other."""
    source, target = nibabel.load(source), nibabel.load(target)
    across = numpy.linalg.inv(source.affine) @ target.affine
    places = numpy.tensordot(across[:3, :3], numpy.indices(target.shape), 1) + across[:3, 3].reshape(3, 1, 1, 1)
    return (numpy.abs(places - numpy.floor(places) - 0.5) > 1e-3).all(axis=0).T  # as SimpleITK's arrays: w first


def check_kept(folder):
    """No resampling: voxels are permuted and reversed, exactly, and come back exactly."""
    for scan, packed, back in (("scan", "kept_packed", "kept_back"), ("labels", "kept_packed_labels", "kept_back_labels")):
        own, ours, returned = (nibabel.load(folder / f"{name}.nii.gz") for name in (scan, packed, back))
        turn = nibabel.orientations.ornt_transform(nibabel.io_orientation(own.affine), nibabel.orientations.axcodes2ornt("LIA"))
        theirs = own.as_reoriented(turn)
        check(numpy.array_equal(theirs.get_fdata(), ours.get_fdata()), f"{folder.name}: nibabel turns the {scan} into the same voxels")
        check(numpy.allclose(theirs.affine, ours.affine, atol=1e-4), f"{folder.name}: and to the same affine")
        check(numpy.array_equal(own.get_fdata(), returned.get_fdata()), f"{folder.name}: the {scan} come back exactly")
        check(numpy.allclose(own.affine, returned.affine, atol=1e-4), f"{folder.name}: onto their own affine")


def check_resampled(folder):
    scan, packed, back = (folder / f"{name}.nii.gz" for name in ("scan", "resampled_packed", "resampled_back"))
    ours, theirs = array(packed), resampled(scan, packed, SimpleITK.sitkLinear, -1.0)
    inside = (theirs >= 0) & (ours != 0)
    edge = numpy.mean((theirs >= 0) != (ours != 0))
    worst = numpy.abs(ours - theirs)[inside].max()
    print(f"        packed: {inside.sum()} voxels inside, largest difference {worst:.1e}, {edge:.2%} differ at the border")
    check(inside.sum() > 10000 and worst < 1e-4 and edge < 0.01, f"{folder.name}: SimpleITK packs to the same voxels")
    ours, theirs = array(back), resampled(packed, scan, SimpleITK.sitkLinear, -1.0)
    inside = (theirs >= 0) & (ours >= 0)
    worst = numpy.abs(ours - theirs)[inside].max()
    check(inside.mean() > 0.99 and worst < 1e-4, f"{folder.name}: SimpleITK brings it back to the same voxels ({worst:.1e})")
    inner = numpy.s_[2:-2, 3:-3, 3:-3]  # away from the border of the view, beyond which the packed scan is 0
    error = numpy.abs(ours - array(scan))[inner]
    spread = array(scan).std()
    check(error.max() < 0.15 * spread and error.mean() < 0.02 * spread,
          f"{folder.name}: the scan itself within interpolation error: mean {error.mean() / spread:.2%}, largest {error.max() / spread:.2%} of its spread")
    labels = folder / "labels.nii.gz"
    for name, source, target in (("resampled_packed_labels", labels, packed), ("resampled_back_labels", folder / "resampled_packed_labels.nii.gz", labels)):
        clear = away_from_ties(source, target)
        same = (array(folder / f"{name}.nii.gz") == resampled(source, target, SimpleITK.sitkNearestNeighbor, 0))[clear].mean()
        check(clear.mean() > 0.3 and same > 0.999, f"{folder.name}: {name}: nearest labels agree in {same:.3%} of the {clear.mean():.0%} of voxels that are not between two")


def main():
    with tempfile.TemporaryDirectory(prefix="regatta-interop-") as name:
        folder = pathlib.Path(name)
        environment = dict(os.environ, REGATTA_INTEROP_FOLDER=str(folder))
        subprocess.run([sys.argv[1], "[.round_trip]"], env=environment, check=True, stdout=subprocess.DEVNULL)
        grids = sorted(path for path in folder.iterdir() if path.is_dir())
        check(len(grids) == 4, "four scans were packed")
        for grid in grids:
            check_kept(grid)
            check_resampled(grid)


if __name__ == "__main__":
    main()
