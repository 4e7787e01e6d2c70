#!/usr/bin/env python3
"""The public IXI and OASIS releases (folders of .pkl files) as NIfTI files and a data set file for `regatta pack`.

A pickle is a program: loading one can run anything. This reader knows five names, makes no object but its own, and
refuses every other name in one line. Only Python's standard library is needed, not even numpy.

Files hold (image, labels), a subject, or (moving, fixed, moving labels, fixed labels), a pair. Voxel [i, j, k] of the
NIfTI file is element [i, j, k] of the array; spacing is 1 mm, the axes are those of --orientation.
"""
import argparse
import array
import collections
import io
import math
import pathlib
import pickle
import re
import sys

from nifti_files import Refused, from_c_order, run, summary, write_dataset, write_volume

# FreeSurfer's ids in the order of the indices 0..45 that the networks of the IXI release are trained with.
IXI_IDS = [0, 2, 3, 4, 5, 7, 8, *range(10, 19), 24, 26, 28, 30, 31, 41, 42, 43, 44, 46, 47, *range(49, 55), 58, 60, 62,
           63, 72, 77, 80, 85, *range(251, 256)]
IXI_EVALUATED = [1, 2, 3, *range(5, 17), 18, 20, 21, 22, 23, *range(25, 33), 34, 36]  # indices of the 30 structures
TYPECODES = {"f4": "f", "f8": "d", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q",
             "u8": "Q", "b1": "B"}

Volume = collections.namedtuple("Volume", "shape voxels")  # voxels: array, first index fastest


class ElementType:
    """Stands for numpy.dtype: the name of an element type and its byte order."""

    def __init__(self, name, *_):
        if name not in TYPECODES:
            raise Refused(f"element type {name!r}, one of {', '.join(TYPECODES)} expected")
        self.typecode = TYPECODES[name]
        self.swapped = False

    def __setstate__(self, state):
        self.swapped = state[1] == (">" if sys.byteorder == "little" else "<")


class PickledArray:
    """Stands for numpy.ndarray: its state is checked, then decoded."""

    def __setstate__(self, state):
        _, shape, element, fortran, data = state
        if not isinstance(element, ElementType) or not isinstance(data, bytes) or not isinstance(shape, tuple):
            raise Refused("an array of something else than numbers")
        if not all(type(size) is int and size > 0 for size in shape):
            raise Refused(f"shape {shape!r}, positive sizes expected")
        self.shape = shape
        self.voxels = array.array(element.typecode)
        if len(data) != math.prod(shape) * self.voxels.itemsize:
            raise Refused(f"{len(data)} bytes for the shape {list(shape)} of {self.voxels.itemsize}-byte elements")
        self.voxels.frombytes(data)
        if element.swapped:
            self.voxels.byteswap()
        self.first_fastest = bool(fortran)


class ArrayClass:
    """Stands for numpy.ndarray where a pickle names the class itself. It cannot be called."""


def reconstruct(*_):
    """Stands for numpy's _reconstruct: an empty array that gets its state afterwards."""
    return PickledArray()


KNOWN = {("numpy", "dtype"): ElementType, ("numpy", "ndarray"): ArrayClass(), ("builtins", "tuple"): tuple,
         ("__builtin__", "tuple"): tuple,
         ("numpy.core.multiarray", "_reconstruct"): reconstruct,
         ("numpy._core.multiarray", "_reconstruct"): reconstruct}


class ArrayUnpickler(pickle._Unpickler):  # the one in Python: its memo and stack cannot be made to reserve memory
    def find_class(self, module, name):
        if (module, name) not in KNOWN:
            raise Refused(f"names {module}.{name}, which no file of arrays needs; nothing was run")
        return KNOWN[module, name]

    def persistent_load(self, pid):
        raise Refused("refers to another file, which no file of arrays needs; nothing was run")

    def load_build(self):  # sets attributes: of our two kinds of object alone
        if type(self.stack[-2]) not in (ElementType, PickledArray):
            raise Refused(f"gives a state to a {type(self.stack[-2]).__name__}; nothing was run")
        super().load_build()

    dispatch = {**pickle._Unpickler.dispatch, pickle.BUILD[0]: load_build}


def read_arrays(path):
    """The arrays of a file: a tuple of 2 or 4. @raise Refused, with the file's name"""
    data = pathlib.Path(path).read_bytes()
    try:
        arrays = ArrayUnpickler(io.BytesIO(data)).load()
        if not isinstance(arrays, (tuple, list)) or len(arrays) not in (2, 4) or \
                not all(isinstance(item, PickledArray) and hasattr(item, "shape") for item in arrays):
            raise Refused("2 or 4 arrays expected")
    except Refused as error:
        raise Refused(f"{path}: {error}") from None
    except Exception as error:  # a damaged pickle fails in any way: all of them are this file's fault
        raise Refused(f"{path}: not a whole pickle of arrays ({type(error).__name__}: {error})") from None
    for item in arrays:
        if len(item.shape) != 3 or item.shape != arrays[0].shape or max(item.shape) > 32767:
            raise Refused(f"{path}: shapes {[list(a.shape) for a in arrays]}, 3-D and equal expected")
    return arrays


def image_of(path, item):
    voxels = item.voxels if item.voxels.typecode == "f" else array.array("f", item.voxels)
    if not math.isfinite(sum(voxels)):
        raise Refused(f"{path}: the image has values that are not finite")
    return Volume(item.shape, voxels if item.first_fastest else from_c_order(item.shape, voxels))


def labels_of(path, item):
    try:
        voxels = array.array("h", map(int, item.voxels))
        if any(a != b for a, b in zip(voxels, item.voxels)):
            raise ValueError
    except (ValueError, OverflowError):
        raise Refused(f"{path}: labels are not whole numbers within -32768..32767") from None
    return Volume(item.shape, voxels if item.first_fastest else from_c_order(item.shape, voxels))


class Converter:
    def __init__(self, options):
        self.options = options
        self.out = pathlib.Path(options.out)
        self.subjects, self.pairs, self.shape = [], [], None

    def add_subject(self, path, name, split, image, labels):
        image, labels = image_of(path, image), labels_of(path, labels)
        self.shape = self.shape or image.shape
        if image.shape != self.shape:
            raise Refused(f"{path}: shape {list(image.shape)}, the first file has {list(self.shape)}")
        if any(subject["id"] == name for subject in self.subjects):
            name = f"{split}_{name}"  # some releases count each split from the same number
        row = {"id": name, "image": f"{name}.nii.gz", "labels": f"{name}_seg.nii.gz", "split": split}
        write_volume(self.out / row["image"], image.shape, image.voxels, self.options.orientation)
        write_volume(self.out / row["labels"], labels.shape, labels.voxels, self.options.orientation)
        self.subjects.append(row)
        return name

    def add_file(self, path, split):
        name = re.sub(r"[^A-Za-z0-9._+=@-]", "_", path.stem)
        arrays = read_arrays(path)
        if len(arrays) == 2:
            self.add_subject(path, name, split, *arrays)
            return
        if split == "atlas":
            raise Refused(f"{path}: 4 arrays, an atlas has 2")
        moving = self.add_subject(path, f"{name}_moving", split, arrays[0], arrays[2])
        fixed = self.add_subject(path, f"{name}_fixed", split, arrays[1], arrays[3])
        self.pairs.append({"split": split, "moving": moving, "fixed": fixed})

    def add_folder(self, folder, split):
        def natural(path):
            return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]

        files = sorted(folder.glob("*.pkl"), key=natural)
        for number, path in enumerate(files, 1):
            print(f"{split} {number}/{len(files)} {path.name}", flush=True)
            self.add_file(path, split)

    def pair_rule(self):
        if any(subject["split"] == "atlas" for subject in self.subjects):
            return {"rule": "atlas", "atlas": "atlas"}
        return {"rule": "all", "explicit": self.pairs} if self.pairs else {"rule": "all"}

    def dataset(self):
        chosen = {"evaluated": IXI_EVALUATED, "all": range(1, len(IXI_IDS))}.get(self.options.ixi_labels)
        labels = {"labels": {"merge": {str(i): [IXI_IDS[i]] for i in chosen}, "others": "background"}} if chosen else {}
        return {"schema": 1, "name": self.options.name, "subjects": self.subjects, "pairs": self.pair_rule(),
                "preprocess": {"orientation": self.options.orientation, "spacing_mm": [1.0, 1.0, 1.0],
                               "shape": list(self.shape), "intensity": {"kind": "none"}, "type": self.options.type},
                **labels}


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="the unpacked release")
    parser.add_argument("-o", "--out", required=True, help="folder for the NIfTI files and dataset.json")
    parser.add_argument("--name", default="", help="of the data set; default: the folder's")
    parser.add_argument("--atlas", default="atlas.pkl", help="moving image of every pair, if it exists (%(default)s)")
    for split in ("train", "val", "test"):
        parser.add_argument(f"--{split}", default=split.capitalize(), help=f"subfolder of split {split} (%(default)s)")
    parser.add_argument("--orientation", default="LIA", help="axes of the arrays (%(default)s: FreeSurfer's)")
    parser.add_argument("--type", default="float32", choices=("float32", "uint8"), help="of the packed images")
    parser.add_argument("--ixi-labels", choices=("evaluated", "all"),
                        help="labels are FreeSurfer's ids: pack them as the indices 1..45 of the IXI release, the 30 "
                             "structures that are evaluated or all")
    options = parser.parse_args(arguments)
    options.name = options.name or options.folder.resolve().name
    return options


def main(arguments=None):
    options = parse(arguments)

    def convert():
        converter = Converter(options)
        converter.out.mkdir(parents=True, exist_ok=True)
        if (options.folder / options.atlas).is_file():
            converter.add_file(options.folder / options.atlas, "atlas")
            converter.subjects[0]["id"] = "atlas"
        for split in ("train", "val", "test"):
            converter.add_folder(options.folder / getattr(options, split), split)
        if not any(subject["split"] != "atlas" for subject in converter.subjects):
            folders = f"{options.train}, {options.val}, {options.test}"
            raise Refused(f"{options.folder}: no .pkl file in its subfolders {folders}")
        write_dataset(converter.out / "dataset.json", converter.dataset())
        print(f"{converter.out / 'dataset.json'}: {summary(converter.dataset())}")

    run("pkl_to_nifti", convert)


if __name__ == "__main__":
    main()
