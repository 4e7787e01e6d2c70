"""What the converters beside this file share: volumes as NIfTI-1 files, data set files, one-line refusals.

Only Python's standard library. Voxels are `array.array`s in the file's own order, the first index fastest.
"""
import array
import gzip
import json
import math
import os
import pathlib
import struct
import sys

DATA_TYPES = {"B": 2, "h": 4, "i": 8, "f": 16}  # typecodes of `array` to NIfTI-1 codes
SPACES = ("LR", "PA", "IS")  # of the x, y and z axes: RAS millimetres grow towards the second letter


class Refused(Exception):
    """Input that is not what it should be. The text is one line and names the file."""


def affine_of(shape, orientation):
    """Rows of the 3 x 4 map from voxel indices to RAS millimetres: 1 mm, `orientation` such as LIA, centred at 0."""
    rows = [[0.0] * 4 for _ in range(3)]
    for index, letter in enumerate(orientation):
        axis = next((i for i, pair in enumerate(SPACES) if letter in pair), None)
        if axis is None or any(rows[axis]):
            raise Refused(f"orientation '{orientation}': three letters, one each of R|L, A|P and S|I, expected")
        step = 1.0 if letter == SPACES[axis][1] else -1.0
        rows[axis][index] = step
        rows[axis][3] = -step * (shape[index] - 1) / 2
    if len(orientation) != 3:
        raise Refused(f"orientation '{orientation}': three letters expected")
    return rows


def write_volume(path, shape, voxels, orientation):
    """A .nii.gz of 1 mm voxels, the same bytes for the same voxels.

    voxels: array of typecode B, h, i or f, first index fastest, as many as the shape says.
    """
    if len(shape) != 3 or len(voxels) != math.prod(shape):
        raise ValueError(f"{len(voxels)} voxels for the shape {shape}")
    rows = affine_of(shape, orientation)
    header = struct.pack("<i36x8h14x2h2x8f", 348, 3, *shape, 1, 1, 1, 1, DATA_TYPES[voxels.typecode],
                         8 * voxels.itemsize, 1, 1, 1, 1, 0, 0, 0, 0)
    # vox_offset, scl_slope, scl_inter, slice_end, slice_code, xyzt_units (mm), then zeros up to the description
    header += struct.pack("<3fhBB24x80x24x2h", 352, 1, 0, 0, 0, 2, 0, 2)  # no qform; sform: aligned coordinates
    header += struct.pack("<6f12f16x4s4x", *[0.0] * 6, *[value for row in rows for value in row], b"n+1")
    if sys.byteorder == "big":
        voxels = array.array(voxels.typecode, voxels)
        voxels.byteswap()
    partial = pathlib.Path(f"{path}.tmp")
    with open(partial, "wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as file:
        file.write(header)
        file.write(voxels.tobytes())
    os.replace(partial, path)


def from_c_order(shape, voxels):
    """The same volume with the first index fastest, from one with the last index fastest."""
    rows, columns = shape[1], shape[2]
    out = array.array(voxels.typecode)
    for k in range(columns):
        for j in range(rows):
            out.extend(voxels[k + columns * j::columns * rows])
    return out


def write_dataset(path, dataset):
    """The data set file, whole or not at all; one subject or pair a line."""
    def rows(items):
        return "[\n" + ",\n".join("    " + json.dumps(item) for item in items) + "]"

    parts = []
    for key, value in dataset.items():
        if key == "subjects":
            text = rows(value)
        elif key == "pairs" and value.get("explicit"):
            rest = json.dumps({k: v for k, v in value.items() if k != "explicit"})
            text = f"{rest[:-1]}, \"explicit\": {rows(value['explicit'])}}}"
        else:
            text = json.dumps(value)
        parts.append(f"  {json.dumps(key)}: {text}")
    partial = pathlib.Path(f"{path}.tmp")
    partial.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")
    os.replace(partial, path)


def summary(dataset):
    """How many subjects and, where they are listed, pairs each split has."""
    splits = ("train", "val", "test", "atlas")
    text = [f"{sum(s['split'] == split for s in dataset['subjects'])} {split}" for split in splits]
    pairs = dataset["pairs"].get("explicit", [])
    counts = [f"{sum(p['split'] == split for p in pairs)} {split}" for split in splits[:3]]
    return f"subjects: {', '.join(text)}; pairs: rule {dataset['pairs']['rule']}" + \
        (f", listed: {', '.join(counts)}" if pairs else "")


def run(program, convert):
    """Calls convert(); a refusal becomes one line and exit code 3."""
    try:
        convert()
    except (Refused, OSError) as error:
        print(f"{program}: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(3)
