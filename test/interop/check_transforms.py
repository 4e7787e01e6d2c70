#!/usr/bin/env python3
"""`regatta warp` beside SimpleITK, and where they are installed ANTs (antspyx) and greedy (picsl-greedy).

usage: check_transforms.py REGATTA

Images, labels, points, chains, composites and inverses on oblique, anisotropic grids of unequal size, the fixed one and
the moving one different. Images must agree within 1e-3 of their range off the border of the moving scan's view, points
within 1e-3 mm, and an inverse composed with its transform must move voxels by less than 0.1 voxel on average. Skips by
name what is not installed.
"""
import importlib.util
import pathlib
import subprocess
import sys
import tempfile

try:
    import nibabel
    import numpy
    import SimpleITK as sitk
except ImportError as missing:
    print(f"SKIPPED: check_transforms: {missing.name}")
    sys.exit(0)

REGATTA = sys.argv[1]
FAILED = []


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text, flush=True)
    if not condition:
        FAILED.append(text)


def warp(*arguments):
    done = subprocess.run([REGATTA, "warp", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"FAILED  regatta warp {' '.join(map(str, arguments))}: {done.stderr[-600:]}")
    return done.stdout


def array(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))).astype(numpy.float64)


def make_grid(size, spacing, turn, middle, mirror):
    rotation = sitk.Euler3DTransform((0, 0, 0), *turn)
    direction = numpy.array(rotation.GetMatrix()).reshape(3, 3) @ numpy.diag([-1 if mirror else 1, 1, 1])
    half = direction @ (numpy.array(spacing) * (numpy.array(size) - 1) / 2)
    image = sitk.Image([int(n) for n in size], sitk.sitkFloat32)
    image.SetSpacing(spacing)
    image.SetDirection(direction.ravel())
    image.SetOrigin(numpy.array(middle) - half)
    return image


def points_of(image):
    """LPS millimetres of all voxels, [z, y, x, 3]."""
    size = image.GetSize()
    index = numpy.stack(numpy.meshgrid(*map(numpy.arange, size), indexing="ij"), -1).transpose(2, 1, 0, 3)
    matrix = numpy.array(image.GetDirection()).reshape(3, 3) @ numpy.diag(image.GetSpacing())
    return index @ matrix.T + image.GetOrigin()


def filled(image, values, pixel=numpy.float32):
    out = sitk.GetImageFromArray(values.astype(pixel))
    out.CopyInformation(image)
    return out


def waves(p):
    return 100 + 40 * numpy.sin(0.23 * p[..., 0]) + 30 * numpy.cos(0.19 * p[..., 1] + 1) + 30 * numpy.sin(0.13 * p[..., 2] - 0.1 * p[..., 0])


def smooth_field(image, height):
    """LPS millimetres, fading towards the borders, as a vector image."""
    p = points_of(image)
    size = image.GetSize()
    index = numpy.stack(numpy.meshgrid(*map(numpy.arange, size), indexing="ij"), -1).transpose(2, 1, 0, 3)
    fade = numpy.sin(numpy.pi * index / (numpy.array(size) - 1)).prod(-1, keepdims=True)
    d = numpy.stack([numpy.sin(0.11 * p[..., 1] + c) + numpy.cos(0.13 * p[..., (c + 2) % 3]) for c in range(3)], -1)
    out = sitk.GetImageFromArray(height * fade * d, isVector=True)
    out.CopyInformation(image)
    return out


def compare(ours, theirs, text, missing=-1000.0):
    """Both see the scan, or neither does, but for the border; where both see it, they agree."""
    seen = (ours != missing) & (theirs != missing)
    border = numpy.mean((ours != missing) != (theirs != missing))
    worst = numpy.abs(ours - theirs)[seen].max() / numpy.ptp(theirs[seen])
    check(seen.mean() > 0.4 and border < 0.005 and worst < 1e-3, f"{text}: {worst:.1e} of the range, {border:.2%} differ at the border, {seen.mean():.0%} seen")


class Scene:
    def __init__(self, folder):
        self.folder = folder
        self.fixed = make_grid((40, 36, 14), (0.7, 0.8, 3.0), (0.3, -0.2, 0.5), (12, -8, 30), True)
        self.moving = make_grid((44, 40, 46), (1.1, 0.9, 1.0), (-0.2, 0.4, 0.1), (13, -9, 31), False)
        self.image = filled(self.moving, waves(points_of(self.moving)))
        self.labels = filled(self.moving, numpy.floor(sitk.GetArrayFromImage(self.image) / 25) * 1000, numpy.int32)
        sitk.WriteImage(filled(self.fixed, waves(points_of(self.fixed))), str(folder / "fixed.nii.gz"))
        sitk.WriteImage(self.image, str(folder / "moving.nii.gz"))
        sitk.WriteImage(self.labels, str(folder / "labels.nii.gz"))
        self.displacement = smooth_field(self.fixed, 1.2)
        sitk.WriteImage(sitk.Cast(self.displacement, sitk.sitkVectorFloat32), str(folder / "field.nii.gz"))
        self.affine = sitk.AffineTransform([1.05, 0.06, -0.04, -0.05, 0.97, 0.03, 0.02, -0.06, 1.03], (1.0, -2.0, 0.5), (12, -8, 30))
        for ending in ("tfm", "txt", "mat"):
            sitk.WriteTransform(self.affine, str(folder / f"affine.{ending}"))
        # A point meets the field first, then the affine: the affine is added first, as ANTs does.
        self.chain = sitk.CompositeTransform([sitk.AffineTransform(self.affine), self.field()])
        sitk.WriteTransform(self.chain, str(folder / "chain.h5"))

    def field(self):
        return sitk.DisplacementFieldTransform(sitk.Image(self.displacement))

    def file(self, name):
        return self.folder / name

    def theirs(self, transform, method=sitk.sitkLinear, image=None, outside=-1000.0):
        image = self.image if image is None else image
        return sitk.GetArrayFromImage(sitk.Resample(image, self.fixed, transform, method, outside)).astype(numpy.float64)

    def ours(self, *transforms, image="moving.nii.gz", interpolation="linear", outside=-1000):
        listed = [part for text in transforms for part in ("-t", text)]
        warp(self.file(image), *listed, "-r", self.file("fixed.nii.gz"), "-o", self.file("ours.nii.gz"), "-n", interpolation, "--outside", outside)
        return array(self.file("ours.nii.gz"))


def check_images(s):
    f = s.file
    for ending in ("tfm", "txt", "mat"):
        compare(s.ours(f(f"affine.{ending}")), s.theirs(s.affine), f"SimpleITK: affine.{ending}")
        compare(s.ours(f"[{f(f'affine.{ending}')},1]"), s.theirs(s.affine.GetInverse()), f"SimpleITK: affine.{ending} inverted")
    for kind in (sitk.Euler3DTransform((12, -8, 30), 0.1, -0.05, 0.2, (1, 2, -1)), sitk.VersorRigid3DTransform((0.1, 0.05, -0.1), 0.2, (1, 2, -1), (12, -8, 30)),
                 sitk.Similarity3DTransform(1.05, (0.1, 0.05, -0.1), 0.2, (1, 2, -1), (12, -8, 30)), sitk.TranslationTransform(3, (2, -1, 3))):
        for ending in ("tfm", "h5"):
            sitk.WriteTransform(kind, str(f(f"other.{ending}")))
            compare(s.ours(f(f"other.{ending}")), s.theirs(kind), f"SimpleITK: {kind.GetName()} from {ending}")
    compare(s.ours(f("field.nii.gz")), s.theirs(s.field()), "SimpleITK: a field")
    compare(s.ours(f("field.nii.gz"), f("affine.mat")), s.theirs(s.chain), "SimpleITK: field, then affine")
    compare(s.ours(f("chain.h5")), s.theirs(s.chain), "SimpleITK: a composite in HDF5")
    compare(s.ours(f("chain.h5"), interpolation="cubic"), s.theirs(s.chain, sitk.sitkBSpline3), "SimpleITK: cubic")
    nearest = s.ours(f("chain.h5"), image="labels.nii.gz", interpolation="nearest", outside=0)
    check(sitk.ReadImage(str(f("ours.nii.gz"))).GetPixelID() == sitk.sitkInt32, "nearest of integers is int32")
    same = numpy.mean(nearest == s.theirs(s.chain, sitk.sitkNearestNeighbor, s.labels, 0))
    check(same > 0.999, f"SimpleITK: nearest labels agree in {same:.3%}")
    vote = s.ours(f("chain.h5"), image="labels.nii.gz", interpolation="vote", outside=0)
    same = numpy.mean(vote == s.theirs(s.chain, sitk.sitkLabelLinear, s.labels, 0))
    check(same > 0.999 and (vote != nearest).any(), f"SimpleITK: votes of labels agree in {same:.3%}")
    for scan in (sitk.ReadImage(str(f("ours.nii.gz"))),):
        check(numpy.allclose(scan.GetDirection(), s.fixed.GetDirection(), atol=1e-5) and numpy.allclose(scan.GetOrigin(), s.fixed.GetOrigin(), atol=1e-4), "the result lies on the reference's grid")


def check_series(s):
    frames = [s.image, s.image * 0.5, s.image + 7.0]
    joined = sitk.JoinSeries(frames, 0.0, 2.5)
    sitk.WriteImage(joined, str(s.file("series.nii.gz")))
    warp(s.file("series.nii.gz"), "-t", s.file("chain.h5"), "-r", s.file("fixed.nii.gz"), "-o", s.file("ours4.nii.gz"), "--outside", -1000)
    read = nibabel.load(s.file("ours4.nii.gz"))
    check(read.shape == (*s.fixed.GetSize(), 3) and read.header.get_zooms()[3] == 2.5, "4-D in, 4-D out, with its time step")
    for number, frame in enumerate(frames):
        ours = read.get_fdata()[..., number].transpose(2, 1, 0)
        compare(ours, s.theirs(s.chain, image=frame), f"SimpleITK: volume {number} of a series")


def check_compose(s):
    warp("-t", s.file("chain.h5"), "-r", s.file("fixed.nii.gz"), "--compose", s.file("one.nii.gz"))
    one = sitk.DisplacementFieldTransform(sitk.ReadImage(str(s.file("one.nii.gz")), sitk.sitkVectorFloat64))
    compare(s.theirs(one), s.theirs(s.chain), "SimpleITK: the composed field does what the chain does")
    said = warp("-t", f"[{s.file('chain.h5')},1]", "-r", s.file("moving.nii.gz"), "--compose", s.file("back.nii.gz"))
    print("        " + next(line for line in said.splitlines() if line.startswith("inverse")))
    back = sitk.DisplacementFieldTransform(sitk.ReadImage(str(s.file("back.nii.gz")), sitk.sitkVectorFloat64))
    error = [numpy.linalg.norm(numpy.subtract(back.TransformPoint(s.chain.TransformPoint(p)), p)) for p in points_of(s.fixed)[1:-1, 3:-3, 3:-3].reshape(-1, 3)[::7].tolist()]
    check(numpy.mean(error) < 0.1 * 0.7, f"SimpleITK: the inverse field composed with the chain moves points by {numpy.mean(error):.1e} mm on average, at most {max(error):.1e}")


def check_points(s):
    fixed_points = points_of(s.fixed)[::4, ::9, ::9].reshape(-1, 3)
    moved = numpy.array([s.chain.TransformPoint(p) for p in fixed_points.tolist()])
    numpy.savetxt(s.file("p.csv"), numpy.c_[fixed_points, numpy.arange(len(fixed_points))], delimiter=",", header="x,y,z,label", comments="", fmt="%.9g")
    common = ("-t", s.file("chain.h5"), "-r", s.file("fixed.nii.gz"), "--moving", s.file("moving.nii.gz"), "-o", s.file("q.csv"))

    def mapped():
        return numpy.loadtxt(s.file("q.csv"), delimiter=",", skiprows=1)

    warp("--points", s.file("p.csv"), "--points-of", "fixed", "--points-unit", "lps", *common)
    check(numpy.abs(mapped()[:, :3] - moved).max() < 1e-3 and (mapped()[:, 3] == numpy.arange(len(moved))).all(), "SimpleITK: fixed points in LPS")
    numpy.savetxt(s.file("p.csv"), moved, delimiter=",", header="x,y,z", comments="", fmt="%.9g")
    warp("--points", s.file("p.csv"), "--points-of", "moving", "--points-unit", "lps", *common)
    check(numpy.abs(mapped() - fixed_points).max() < 1e-2, "moving points come back to the fixed ones")
    voxels = numpy.array([s.moving.TransformPhysicalPointToContinuousIndex(p) for p in moved.tolist()])
    numpy.savetxt(s.file("p.csv"), voxels, delimiter=",", header="i,j,k", comments="", fmt="%.9g")
    warp("--points", s.file("p.csv"), "--points-of", "moving", "--points-unit", "voxel", *common)
    wanted = numpy.array([s.fixed.TransformPhysicalPointToContinuousIndex(p) for p in fixed_points.tolist()])
    check(numpy.abs(mapped() - wanted).max() < 1e-2, "and in voxels, each scan's own")
    # A bright dot lies, after warping the image, where its point is taken to.
    middle = numpy.linalg.norm(fixed_points - fixed_points.mean(0), axis=-1).argmin()
    dot = moved[middle]
    bright = numpy.exp(-((points_of(s.moving) - dot) ** 2).sum(-1) / 8)
    sitk.WriteImage(filled(s.moving, bright), str(s.file("dot.nii.gz")))
    ours = s.ours(s.file("chain.h5"), image="dot.nii.gz", outside=0)
    at = (ours[..., None] * points_of(s.fixed)).reshape(-1, 3).sum(0) / ours.sum()
    off = numpy.linalg.norm(at - fixed_points[middle])
    check(off < 0.6, f"a dot of the moving image goes where its point goes, {off:.2f} mm apart")


def check_ants(s):
    if importlib.util.find_spec("ants") is None:
        print("SKIPPED: check_transforms: antspyx")
        return
    import ants
    import pandas
    fixed, moving = (ants.image_read(str(s.file(f"{name}.nii.gz"))) for name in ("fixed", "moving"))
    for files, inverted in ((["field.nii.gz", "affine.mat"], None), (["affine.mat"], [True]), (["chain.h5"], None)):
        listed = [str(s.file(name)) for name in files]
        out = ants.apply_transforms(fixed, moving, listed, interpolator="linear", whichtoinvert=inverted, defaultvalue=-1000)
        theirs = out.numpy().astype(numpy.float64).transpose(2, 1, 0)
        ours = s.ours(*[f"[{name},1]" if inverted else name for name in listed])
        compare(ours, theirs, f"ANTs: {' '.join(files)}{' inverted' if inverted else ''}")
    warp("-t", s.file("chain.h5"), "-r", s.file("fixed.nii.gz"), "--compose", s.file("one.nii.gz"))
    theirs = ants.apply_transforms(fixed, moving, [str(s.file("one.nii.gz"))], defaultvalue=-1000).numpy().astype(numpy.float64)
    compare(s.ours(s.file("chain.h5")), theirs.transpose(2, 1, 0), "ANTs: our composed field")
    points = points_of(s.fixed)[::5, ::9, ::9].reshape(-1, 3)
    frame = pandas.DataFrame(points, columns=list("xyz"))
    theirs = ants.apply_transforms_to_points(3, frame, [str(s.file("field.nii.gz")), str(s.file("affine.mat"))])
    numpy.savetxt(s.file("p.csv"), points, delimiter=",", fmt="%.9g")
    warp("--points", s.file("p.csv"), "--points-of", "fixed", "--points-unit", "lps", "-t", s.file("field.nii.gz"), "-t", s.file("affine.mat"), "-o", s.file("q.csv"))
    worst = numpy.abs(numpy.loadtxt(s.file("q.csv"), delimiter=",") - theirs[list("xyz")].to_numpy()).max()
    check(worst < 1e-3, f"ANTs: points agree within {worst:.1e} mm")


def check_greedy(s):
    if importlib.util.find_spec("picsl_greedy") is None:
        print("SKIPPED: check_transforms: picsl-greedy")
        return
    from picsl_greedy import Greedy3D
    greedy = Greedy3D()
    f = s.file
    images = f"-rf {f('fixed.nii.gz')} -rb -1000 -rm {f('moving.nii.gz')} {f('theirs.nii.gz')}"
    greedy.execute(f"-d 3 -i {f('fixed.nii.gz')} {f('moving.nii.gz')} -a -dof 6 -ia-identity -m NCC 2x2x2 -n 20x10 -o {f('greedy.mat')} -V 0")
    greedy.execute(f"-d 3 -i {f('fixed.nii.gz')} {f('moving.nii.gz')} -it {f('greedy.mat')} -m NCC 2x2x2 -n 10x5 -o {f('greedy_warp.nii.gz')} -V 0")
    greedy.execute(f"-d 3 {images} -r {f('greedy_warp.nii.gz')} {f('greedy.mat')}")
    core = numpy.zeros(s.moving.GetSize()[::-1])
    core[2:-2, 2:-2, 2:-2] = 1  # greedy blends the background into the outermost voxels
    sitk.WriteImage(filled(s.moving, core), str(f("core.nii.gz")))

    def same_within(text, *transforms):
        theirs = array(f("theirs.nii.gz"))
        within = s.ours(*transforms, image="core.nii.gz", outside=0) == 1
        ours = s.ours(*transforms)
        worst = numpy.abs(ours - theirs)[within].max() / numpy.ptp(theirs[within])
        check(within.mean() > 0.4 and worst < 1e-3, f"greedy: {text}: {worst:.1e} of the range off the border, {within.mean():.0%} of the voxels")

    same_within("its own warp and matrix", f("greedy_warp.nii.gz"), f("greedy.mat"))
    greedy.execute(f"-d 3 {images} -r {f('greedy.mat')},-1")
    same_within("its matrix inverted", f"{f('greedy.mat')},-1")
    warp("-t", f("chain.h5"), "-r", f("fixed.nii.gz"), "--compose", f("one.nii.gz"))
    greedy.execute(f"-d 3 {images} -r {f('one.nii.gz')}")
    same_within("our composed field", f("one.nii.gz"))


with tempfile.TemporaryDirectory(prefix="regatta-transforms-") as made:
    scene = Scene(pathlib.Path(made))
    for part in (check_images, check_series, check_compose, check_points, check_ants, check_greedy):
        part(scene)
sys.exit(1 if FAILED else 0)
