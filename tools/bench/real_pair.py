#!/usr/bin/env python3
"""Makes a small archive's input from two real scans: images, tissue labels, a data set file.

usage: real_pair.py SCANS OUT    (SCANS holds oasis_brain_a.nii.gz and voxelmorph_test_scan.npz; OUT is made)

The OASIS scan comes without labels, so both get the same kind of their own: three tissue classes of the brain by k-means
over intensities, the same code for both scans. They measure whether tissue comes to lie on tissue, not anatomy. Needs the
Python of LibTorch's environment (torch, no numpy).
"""
import gzip
import io
import json
import pathlib
import struct
import sys
import zipfile

import torch


def read_npy(data):
    """A C-ordered float64 array of a .npy file."""
    header_bytes, = struct.unpack("<H", data[8:10])
    header = data[10:10 + header_bytes].decode()
    if "'<f8'" not in header or "'fortran_order': False" not in header:
        sys.exit(f"real_pair: unexpected array: {header.strip()}")
    shape = [int(size) for size in header.split("(")[1].split(")")[0].split(",") if size.strip()]
    return torch.frombuffer(bytearray(data[10 + header_bytes:]), dtype=torch.float64).reshape(shape).float()


def read_nifti(path):
    """Voxels [D, H, W] of a float32 NIfTI-1 file and its header."""
    data = gzip.open(path).read()
    sizes = struct.unpack("<8h", data[40:56])
    datatype, = struct.unpack("<h", data[70:72])
    offset, = struct.unpack("<f", data[108:112])
    if sizes[0] != 3 or datatype != 16:
        sys.exit(f"real_pair: {path}: {sizes[0]} dimensions, type {datatype}, expected 3 and 16 (float32)")
    voxels = torch.frombuffer(bytearray(data[int(offset):]), dtype=torch.float32)
    return voxels.reshape(sizes[3], sizes[2], sizes[1]).permute(2, 1, 0).contiguous(), data[:348]


def write_nifti(path, voxels, header, datatype, bits):
    """Header of another file of the same grid, with another type; scaling removed."""
    head = bytearray(header)
    head[70:74] = struct.pack("<2h", datatype, bits)
    head[108:120] = struct.pack("<3f", 352.0, 1.0, 0.0)
    body = voxels.permute(2, 1, 0).contiguous()
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=4) as file:
        file.write(bytes(head) + b"\0\0\0\0" + bytes(body.untyped_storage()))
    path.write_bytes(buffer.getvalue())


def tissue_classes(image, classes=3, rounds=50):
    """k-means over the intensities of the brain (above 5 % of the brightest); 0 is background."""
    values = image[image > 0.05]
    centres = torch.quantile(values[::97], torch.tensor([0.1, 0.5, 0.9]))
    for _ in range(rounds):
        nearest = (values.unsqueeze(1) - centres).abs().argmin(1)
        centres = torch.stack([values[nearest == k].mean() for k in range(classes)])
    labels = torch.zeros(image.shape, dtype=torch.uint8)
    labels[image > 0.05] = (nearest + 1).to(torch.uint8)
    return labels


def main():
    scans, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    moving, header = read_nifti(scans / "oasis_brain_a.nii.gz")
    with zipfile.ZipFile(scans / "voxelmorph_test_scan.npz") as archive:
        fixed = read_npy(archive.read("vol.npy"))
    subjects = []
    for name, volume in (("oasis-a", moving), ("voxelmorph", fixed)):
        image = (volume / volume.max()).clamp(0, 1)
        write_nifti(out / f"{name}.nii.gz", image, header, 16, 32)
        write_nifti(out / f"{name}_tissue.nii.gz", tissue_classes(image), header, 2, 8)
        subjects.append({"id": name, "image": f"{name}.nii.gz", "labels": f"{name}_tissue.nii.gz", "split": "train"})
    pair = {"moving": "oasis-a", "fixed": "voxelmorph"}
    dataset = {
        "schema": 1,
        "name": "one real pair",
        "subjects": subjects,
        "pairs": {"rule": "explicit", "explicit": [{"split": split, **pair} for split in ("train", "val")]},
        # The scans' own axes; 160x192x224 at 1 mm becomes 64x96x64: smallest size with unequal edges for every network.
        "preprocess": {"orientation": "LIA", "spacing_mm": [2.5, 2.0, 3.5], "shape": [64, 96, 64]},
    }
    (out / "dataset.json").write_text(json.dumps(dataset, indent=2) + "\n")


main()
