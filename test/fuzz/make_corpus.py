#!/usr/bin/env python3
"""Writes small files, whole and broken, from which a fuzz target starts.

usage: make_corpus.py safetensors|nifti|archive FOLDER
"""
import gzip
import io
import json
import pathlib
import random
import struct
import sys
import zipfile


def tensor(kind, shape, begin, end):
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


def safetensors(folder):
    whole = {"__metadata__": {"format": "pt"}, "a.weight": tensor("F32", [2, 1], 0, 8), "a.bias": tensor("F16", [2], 8, 12),
             "step": tensor("I64", [], 12, 20), "none": tensor("U8", [0, 3], 20, 20)}
    headers = {
        "whole": whole,
        "empty": {},
        "overlap": {**whole, "a.bias": tensor("F16", [2], 4, 8)},
        "gap": {**whole, "step": tensor("I64", [], 16, 24)},
        "outside": {**whole, "step": tensor("I64", [4], 12, 44)},
        "huge": {**whole, "none": tensor("U8", [1 << 47, 1 << 47, 0], 20, 20)},
        "kinds": {kind: tensor(kind, [], at, at + size) for kind, size, at in
                  (("F64", 8, 0), ("BF16", 2, 8), ("I32", 4, 10), ("I16", 2, 14), ("I8", 1, 16), ("BOOL", 1, 17))},
        "checksum": {"__metadata__": {"xxh3/a": "0123456789abcdef", "xxh3_header": "0123456789abcdef"}, "a": tensor("F32", [5], 0, 20)},
    }
    for name, header in headers.items():
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        data = b"\0" * (18 if name == "kinds" else 0 if name == "empty" else 20)
        (folder / name).write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "length").write_bytes(struct.pack("<Q", 1 << 63) + b"{}")
    (folder / "twice").write_bytes(struct.pack("<Q", 16) + b'{"a":{},"a":{}} ')



def nifti1(dims, datatype, bits, order="<", magic=b"n+1\0", offset=352.0, intent=0):
    """A header of NIfTI-1 with its four bytes of extension."""
    dim = [len(dims), *dims] + [1] * (7 - len(dims))
    pixdim = [1.0, 1.0, 1.5, 2.0, 1.0, 0.0, 0.0, 0.0]
    head = struct.pack(order + "i36x8h12x4h8f", 348, *dim, intent, datatype, bits, 0, *pixdim)
    head += struct.pack(order + "3fhBB", offset, 0.0, 0.0, 0, 0, 2)
    head += bytes(252 - len(head))
    head += struct.pack(order + "2h6f", 1, 1, 0.0, 0.0, 0.5, -3.0, 4.0, 5.0)
    head += struct.pack(order + "12f", 1, 0, 0, -3, 0, 1.5, 0, 4, 0, 0, 2, 5)
    return head + bytes(344 - len(head)) + magic + bytes(4)


def nifti2(dims, datatype, bits, order="<", magic=b"n+2\0\r\n\x1a\n", offset=544):
    dim = [len(dims), *dims] + [1] * (7 - len(dims))
    head = struct.pack(order + "i8s2h8q", 540, magic, datatype, bits, *dim)
    head += struct.pack(order + "3d8d", 0, 0, 0, 1.0, 1.0, 1.5, 2.0, 1.0, 0.0, 0.0, 0.0)
    head += struct.pack(order + "q2d", offset, 0.0, 0.0)
    head += bytes(344 - len(head))
    head += struct.pack(order + "2i6d", 0, 1, 0, 0, 0, 0, 0, 0)
    head += struct.pack(order + "12d", 1, 0, 0, -3, 0, 1.5, 0, 4, 0, 0, 2, 5)
    return head + bytes(500 - len(head)) + struct.pack(order + "i", 2) + bytes(40)


def mgh(dims, kind, delta=(1.0, 1.5, 2.0), good=1):
    """A header of FreeSurfer's MGH."""
    head = struct.pack(">7ih", 1, *dims, kind, 0, good)
    head += struct.pack(">15f", *delta, -1, 0, 0, 0, 0, -1, 0, 1, 0, 3.0, -4.0, 5.0)
    return head + bytes(284 - len(head))


def npz(arrays):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, (shape, kind, data) in arrays.items():
            text = str({"descr": kind, "fortran_order": False, "shape": shape}).ljust(117).encode() + b"\n"
            file.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data)
    return out.getvalue()


def nifti(folder):
    """The first byte is the kind of file, see nifti_fuzz.cpp."""
    dims = [4, 3, 2]
    voxels = bytes(range(24))
    reals = struct.pack("<24f", *range(24))
    one_file = {
        "uint8": nifti1(dims, 2, 8) + voxels,
        "float32": nifti1(dims, 16, 32) + reals,
        "swapped": nifti1(dims, 4, 16, ">") + struct.pack(">24h", *range(24)),
        "second": nifti2(dims, 2, 8) + voxels,
        "second_swapped": nifti2(dims, 64, 64, ">") + struct.pack(">24d", *range(24)),
        "series": nifti1([4, 3, 1, 2], 2, 8) + voxels,
        "field": nifti1([2, 2, 2, 1, 3], 16, 32, intent=1007) + reals,
        "int64": nifti2(dims, 1024, 64) + struct.pack("<24q", *range(24)),
    }
    for name, data in one_file.items():
        (folder / name).write_bytes(b"\0" + data)
        (folder / f"{name}_gz").write_bytes(b"\1" + gzip.compress(data, 9, mtime=0))
    (folder / "joined").write_bytes(b"\1" + b"".join(
        gzip.compress(part, mtime=0) for part in (one_file["uint8"][:200], one_file["uint8"][200:])))
    (folder / "npz").write_bytes(b"\2" + npz({"vol": ((4, 3, 2), "<f4", reals), "seg": ((4, 3, 2), "|u1", voxels)}))
    freesurfer = {
        "mgh_uint8": mgh([4, 3, 2, 1], 0) + voxels,
        "mgh_float32": mgh([4, 3, 2, 1], 3) + struct.pack(">24f", *range(24)) + b"footer",
        "mgh_frames": mgh([4, 3, 1, 2], 4, good=0) + struct.pack(">24h", *range(24)),
    }
    for name, data in freesurfer.items():
        (folder / name).write_bytes(b"\4" + data)
        (folder / f"{name}_gz").write_bytes(b"\5" + gzip.compress(data, 9, mtime=0))
    (folder / "pair").write_bytes(b"\3" + nifti1(dims, 2, 8, magic=b"ni1\0", offset=0.0) + voxels)
    (folder / "analyze").write_bytes(b"\3" + nifti1(dims, 2, 8, magic=bytes(4), offset=0.0) + voxels)


def archive(folder):
    """Damages to an archive, see archive_fuzz.cpp: any bytes are some."""
    for seed in range(64):
        (folder / f"{seed:02}").write_bytes(random.Random(seed).randbytes(4 + 2 * seed))


def main():
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    {"safetensors": safetensors, "nifti": nifti, "archive": archive}[sys.argv[1]](folder)


if __name__ == "__main__":
    main()
