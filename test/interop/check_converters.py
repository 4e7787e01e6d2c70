#!/usr/bin/env python3
"""tools/pkl_to_nifti.py on tiny made-up releases, and pickles that try to run something.

usage: check_converters.py [REGATTA]    (the program regatta of the build: packs what the converters wrote)

What reads with numpy and nibabel is skipped by name where Python lacks them; everything else needs neither.
"""
import array
import contextlib
import gzip
import json
import os
import pathlib
import pickle
import random
import struct
import subprocess
import sys
import tempfile
import types
import unittest.mock

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
SHAPE = (32, 48, 16)
REGATTA = sys.argv[1] if len(sys.argv) > 1 else None


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text, flush=True)
    if not condition:
        sys.exit(1)


def tool(name, *arguments):
    return subprocess.run([sys.executable, str(TOOLS / name), *map(str, arguments)], capture_output=True, text=True)


def count(shape):
    return shape[0] * shape[1] * shape[2]


@contextlib.contextmanager
def numpy_names(core):
    """Stand-ins under numpy's names, so that pickle writes numpy's: make(shape, type, bytes, ...)."""
    numpy, multiarray = types.ModuleType("numpy"), types.ModuleType(f"numpy.{core}.multiarray")

    def _reconstruct(*_):
        raise AssertionError("only its name is used")

    class ndarray:
        def __init__(self, *state):
            self.state = state

        def __reduce__(self):
            return _reconstruct, (ndarray, (0,), b"b"), (1, *self.state)

    class dtype:
        def __init__(self, name, order):
            self.name, self.order = name, order

        def __reduce__(self):
            return dtype, (self.name, False, True), (3, self.order, None, None, None, -1, -1, 0)

    for item, module in ((ndarray, numpy), (dtype, numpy), (_reconstruct, multiarray)):
        item.__module__, item.__qualname__ = module.__name__, item.__name__
        setattr(module, item.__name__, item)

    def make(shape, name, data, order="<", fortran=False):
        return ndarray(shape, dtype(name, order), fortran, data)

    names = {"numpy": numpy, f"numpy.{core}": types.ModuleType(f"numpy.{core}"), multiarray.__name__: multiarray}
    with unittest.mock.patch.dict(sys.modules, names):
        yield make


def image_values(seed):
    """C order, float32, within 0..1."""
    draw = random.Random(seed)
    return array.array("f", [draw.random() for _ in range(count(SHAPE))])


def label_values(seed):
    draw = random.Random(1000 + seed)
    return array.array("B", [draw.choice((0, 2, 3, 17, 53, 60, 72, 255)) for _ in range(count(SHAPE))])


def read_nifti(path):
    """(shape, sform rows, voxels in C order)"""
    data = gzip.decompress(path.read_bytes())
    shape = struct.unpack_from("<8h", data, 40)[1:4]
    code = {2: "B", 4: "h", 8: "i", 16: "f"}[struct.unpack_from("<h", data, 70)[0]]
    voxels = array.array(code, data[352:])
    rows = struct.unpack_from("<12f", data, 280)
    ordered = array.array(code, (voxels[i + shape[0] * (j + shape[1] * k)]
                                 for i in range(shape[0]) for j in range(shape[1]) for k in range(shape[2])))
    return shape, rows, ordered


def pack(dataset, text):
    if REGATTA is None:
        print(f"SKIPPED: check_converters: {text}: no program regatta given")
        return b""
    archive = dataset.with_suffix(".h5")
    done = subprocess.run([REGATTA, "pack", str(dataset), "-o", str(archive)], capture_output=True, text=True)
    check(done.returncode == 0, f"{text}: regatta pack takes it{'' if done.returncode == 0 else ': ' + done.stderr}")
    return archive.read_bytes()


def check_ixi(folder):
    release = folder / "ixi"
    files = {"atlas.pkl": 0, "Train/subject_2.pkl": 2, "Train/subject_10.pkl": 10, "Val/subject_2.pkl": 3,
             "Test/subject_5.pkl": 5}
    for core, protocol in (("core", 4), ("_core", 5), ("core", 3)):  # what differs between releases of numpy and Python
        with numpy_names(core) as make:
            for name, seed in files.items():
                (release / name).parent.mkdir(parents=True, exist_ok=True)
                content = (make(SHAPE, "f4", image_values(seed).tobytes()),
                           make(SHAPE, "u1", label_values(seed).tobytes()))
                (release / name).write_bytes(pickle.dumps(content, protocol))
        out = folder / f"ixi_{core}_{protocol}"
        done = tool("pkl_to_nifti.py", release, "-o", out, "--ixi-labels", "evaluated")
        check(done.returncode == 0, f"IXI: converted, numpy.{core}, pickle protocol {protocol} {done.stderr}")
    dataset = json.loads((out / "dataset.json").read_text())
    rows = [(s["id"], s["split"]) for s in dataset["subjects"]]
    check(rows == [("atlas", "atlas"), ("subject_2", "train"), ("subject_10", "train"), ("val_subject_2", "val"),
                   ("subject_5", "test")], "IXI: subjects in natural order, the same name in two splits told apart")
    check(dataset["pairs"] == {"rule": "atlas", "atlas": "atlas"}, "IXI: the atlas is warped onto every subject")
    merge = dataset["labels"]["merge"]
    check(len(merge) == 30 and merge["1"] == [2] and merge["36"] == [63] and merge["32"] == [54] and "33" not in merge,
          "IXI: the 30 evaluated structures get their indices")
    shape, sform, voxels = read_nifti(out / "subject_10.nii.gz")
    check(shape == SHAPE and voxels == image_values(10), "IXI: voxel [i, j, k] is element [i, j, k]")
    check(sform == (-1, 0, 0, 15.5, 0, 0, 1, -7.5, 0, -1, 0, 23.5), "IXI: axes are LIA, 1 mm, centred")
    check(read_nifti(out / "subject_10_seg.nii.gz")[2] == array.array("h", label_values(10)), "IXI: labels too")
    archive = pack(out / "dataset.json", "IXI")
    if archive:
        check(image_values(10).tobytes() in archive and image_values(0).tobytes() in archive,
              "IXI: the archive holds the images' own bytes")
        rank = {2: 1, 3: 2, 17: 3, 53: 4, 60: 5}  # of the evaluated ids that occur; archives hold ranks
        packed = bytes(rank.get(value, 0) for value in label_values(10))
        check(packed in archive, "IXI: the archive holds the evaluated labels alone")
    return out


def check_oasis(folder):
    release = folder / "oasis"
    (release / "All").mkdir(parents=True)
    (release / "Pairs").mkdir()

    def swapped(values):
        values = array.array(values.typecode, values)
        values.byteswap()
        return values.tobytes()

    def fortran(values):
        return array.array(values.typecode, (values[k + SHAPE[2] * (j + SHAPE[1] * i)] for k in range(SHAPE[2])
                                             for j in range(SHAPE[1]) for i in range(SHAPE[0]))).tobytes()

    with numpy_names("core") as make:
        def image(seed):
            return make(SHAPE, "f4", image_values(seed).tobytes())

        def labels(seed):
            return make(SHAPE, "f8", array.array("d", label_values(seed)).tobytes())

        (release / "All/p_0001.pkl").write_bytes(
            pickle.dumps((make(SHAPE, "f4", swapped(image_values(1)), ">"), labels(1))))
        (release / "All/p_0002.pkl").write_bytes(
            pickle.dumps((make(SHAPE, "f4", fortran(image_values(2)), "<", True), labels(2))))
        (release / "Pairs/p_0438.pkl").write_bytes(pickle.dumps((image(38), image(39), labels(38), labels(39))))
    out = folder / "oasis_out"
    done = tool("pkl_to_nifti.py", release, "-o", out, "--train", "All", "--val", "Pairs", "--type", "uint8")
    check(done.returncode == 0, f"OASIS: converted {done.stderr}")
    check(read_nifti(out / "p_0001.nii.gz")[2] == image_values(1), "OASIS: an array of the other byte order")
    check(read_nifti(out / "p_0002.nii.gz")[2] == image_values(2), "OASIS: an array with the first index fastest")
    check(read_nifti(out / "p_0438_fixed_seg.nii.gz")[2] == array.array("h", label_values(39)),
          "OASIS: of four arrays the last is the fixed labels")
    dataset = json.loads((out / "dataset.json").read_text())
    check(dataset["pairs"] == {"rule": "all", "explicit": [
        {"split": "val", "moving": "p_0438_moving", "fixed": "p_0438_fixed"}]},
          "OASIS: all training pairs, listed validation")
    pack(out / "dataset.json", "OASIS")


class Evil:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def check_evil(folder):
    """Every file is refused in one line, and nothing in it has run."""
    sentinel = folder / "sentinel"
    touch = f"import pathlib; pathlib.Path({str(sentinel)!r}).touch()"
    release = folder / "evil"
    (release / "Train").mkdir(parents=True)
    victim = release / "Train/p.pkl"
    values = image_values(1).tobytes()
    with numpy_names("core") as make:
        good = make(SHAPE, "f4", values)
        nested = make(SHAPE, "f4", values)
        nested.state = (Evil(exec, touch), *nested.state[1:])
        other_name = pickle.dumps((good, good), 2).replace(b"cnumpy\nndarray\n", b"cnumpy.testing\nmeasure\n")
        cases = {
            "os.system": (Evil(os.system, f"touch {sentinel}"), "posix.system"),
            "builtins.eval": (Evil(eval, f"exec({touch!r})"), "builtins.eval"),
            "builtins.exec beside good arrays": ((good, good, Evil(exec, touch)), "builtins.exec"),
            "builtins.exec in an array's state": ((nested, good), "builtins.exec"),
            "subprocess.Popen": (Evil(subprocess.Popen, ["touch", str(sentinel)]), "subprocess.Popen"),
            "another name of numpy": (other_name, "numpy.testing.measure"),
            "a part of an allowed name": (b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.", "numpy.dtype.__init__"),
            "INST": (b"(S'touch'\niposix\nsystem\n.", "posix.system"),
            "a persistent id": (b"\x80\x04\x8c\x01a\x51.", "another file"),
            "a state for a function": (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}X\x01\x00\x00\x00aK\x01sb.",
                                       "gives a state to a function"),
            "numpy.ndarray called": (b"\x80\x02cnumpy\nndarray\n)R.", "not callable"),
            "objects as elements": ((make(SHAPE, "O8", values), good), "element type 'O8'"),
            "too few bytes": ((make(SHAPE, "f8", values), good), f"{len(values)} bytes for the shape"),
            "a negative shape": ((make((-32, -48, 16), "f4", values), good), "positive sizes"),
            "a huge shape": ((make((2**40, 2**40, 2**40), "f4", values), good), "bytes for the shape"),
            "unequal shapes": ((good, make((48, 32, 16), "f4", values)), "equal expected"),
            "three arrays": ((good, good, good), "2 or 4 arrays"),
            "one array": (good, "2 or 4 arrays"),
            "a truncated file": (pickle.dumps((good, good), 4)[:-1000], "not a whole pickle"),
            "no pickle": (b"\x1f\x8b\x08 something else", "not a whole pickle"),
            "an empty file": (b"", "not a whole pickle"),
            "a memo index of 4294967295": (b"\x80\x02Nr\xff\xff\xff\xff.", "2 or 4 arrays"),
            "bytes of 2^62": (b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.", "not a whole pickle"),
            "NaN in the image": ((make(SHAPE, "f4", b"\x00\x00\xc0\x7f" + values[4:]), good), "not finite"),
            "half labels": ((good, make(SHAPE, "f4", b"\x00\x00\x00\x3f" + values[4:])), "whole numbers"),
        }
        cases = {name: (what if isinstance(what, bytes) else pickle.dumps(what, 4), word)
                 for name, (what, word) in cases.items()}
    control = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    for name, (data, word) in cases.items():
        victim.write_bytes(data)
        if name in ("os.system", "builtins.eval"):  # the trap works: a plain reader springs it
            subprocess.run([sys.executable, "-c", control, str(victim)], capture_output=True)
            check(sentinel.exists(), f"control: pickle.load runs {name}")
            sentinel.unlink()
        done = tool("pkl_to_nifti.py", release, "-o", folder / "evil_out")
        lines = done.stderr.splitlines()
        refused = done.returncode == 3 and len(lines) == 1 and str(victim) in lines[0] and word in lines[0]
        check(refused, f"refused: {name}: {lines[-1].split(': ', 2)[-1][:110] if lines else 'no word'}")
        check(not sentinel.exists(), f"         and nothing of it ran")
    check(not (folder / "evil_out/dataset.json").exists(), "refused releases leave no data set file")


def check_numpy(folder):
    try:
        import numpy
    except ImportError:
        print("SKIPPED: check_converters: pickles of numpy itself: numpy")
        return
    draw = numpy.random.default_rng(3)
    image = draw.random(SHAPE)
    labels = numpy.asfortranarray(draw.integers(0, 36, SHAPE).astype(numpy.int64))
    (folder / "real/Train").mkdir(parents=True)
    for protocol in (3, 4):
        (folder / "real/Train/p.pkl").write_bytes(pickle.dumps((image, labels), protocol))
        done = tool("pkl_to_nifti.py", folder / "real", "-o", folder / "real_out")
        check(done.returncode == 0, f"numpy {numpy.__version__}: converted, protocol {protocol} {done.stderr}")
        _, _, voxels = read_nifti(folder / "real_out/p.nii.gz")
        check(numpy.array_equal(numpy.array(voxels).reshape(SHAPE), image.astype(numpy.float32)),
              "numpy: float64 image")
        _, _, voxels = read_nifti(folder / "real_out/p_seg.nii.gz")
        check(numpy.array_equal(numpy.array(voxels).reshape(SHAPE), labels), "numpy: int64 labels, first index fastest")


def check_nibabel(ixi):
    try:
        import nibabel
        import numpy
    except ImportError as missing:
        print(f"SKIPPED: check_converters: our NIfTI files read by nibabel: {missing.name}")
        return
    scan = nibabel.load(ixi / "subject_10.nii.gz")
    check(scan.shape == SHAPE and "".join(nibabel.aff2axcodes(scan.affine)) == "LIA"
          and scan.header.get_zooms() == (1, 1, 1)
          and scan.header["xyzt_units"] == 2, "nibabel: shape, axes, spacing")
    check(numpy.array_equal(numpy.asarray(scan.dataobj).ravel(), image_values(10)), "nibabel: voxels")


def main():
    with tempfile.TemporaryDirectory(prefix="regatta-converters-") as name:
        folder = pathlib.Path(name)
        ixi = check_ixi(folder)
        check_oasis(folder)
        check_evil(folder)
        check_numpy(folder)
        check_nibabel(ixi)


if __name__ == "__main__":
    main()
