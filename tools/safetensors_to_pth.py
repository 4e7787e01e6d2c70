#!/usr/bin/env python3
"""Turns a weights file of ours into a .pth that the original program loads with load_state_dict(strict=True).

usage: safetensors_to_pth.py IN.safetensors OUT.pth [--wrap KEY]
         [--buffers voxelmorph|transmorph --size DxHxW [--window a,b,c]]

--wrap state_dict makes the wrapper {"state_dict": ...} of TransMorph's programs. --buffers adds what the original saves
besides its parameters: the sampling grid of volumes of that size, and for TransMorph the table of offsets within a
window. LKU-Net needs neither. A checkpoint of ours goes through `regatta convert --weights-only` first.
"""
import argparse
import collections
import os

import safetensors_io
from safetensors_io import refuse, torch

GRIDS = {"voxelmorph": "transformer.grid", "transmorph": "spatial_trans.grid"}
BIAS_TABLE, OFFSETS = "relative_position_bias_table", "relative_position_index"


def whole_numbers(text, separator):
    parts = text.split(separator)
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"expected three whole numbers with '{separator}' between, got '{text}'")
    return tuple(int(part) for part in parts)


def sampling_grid(size):
    """[1, 3, D, H, W] float32: each voxel's own coordinates."""
    axes = [torch.arange(0, edge) for edge in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).unsqueeze(0).to(torch.float32)


def offset_table(window):
    """[N, N] int64, N tokens of a window: row of the bias table for each pair of tokens."""
    axes = torch.meshgrid(*[torch.arange(edge) for edge in window], indexing="ij")
    token = torch.stack([axis.flatten() for axis in axes])  # [3, N]
    offset = token[:, :, None] - token[:, None, :]  # [3, N, N]
    row = torch.zeros_like(offset[0])
    for axis, edge in enumerate(window):
        row = row * (2 * edge - 1) + offset[axis] + edge - 1
    return row


def add_buffers(tensors, kind, size, window, path):
    tensors[GRIDS[kind]] = sampling_grid(size)
    if kind != "transmorph":
        return
    tables = [name for name in tensors if name.endswith(BIAS_TABLE)]
    if not tables:
        refuse(f"{path}: no tensor is named ...{BIAS_TABLE}; not weights of a TransMorph?")
    rows = (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1)
    for name in tables:
        if tensors[name].shape[0] != rows:
            refuse(f"{path}: '{name}' has {tensors[name].shape[0]} rows, a window of {'x'.join(map(str, window))} has {rows}")
        tensors[name[:-len(BIAS_TABLE)] + OFFSETS] = offset_table(window)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--wrap", metavar="KEY")
    parser.add_argument("--buffers", choices=sorted(GRIDS))
    parser.add_argument("--size", type=lambda text: whole_numbers(text, "x"), metavar="DxHxW")
    parser.add_argument("--window", type=lambda text: whole_numbers(text, ","), metavar="a,b,c")
    options = parser.parse_args()
    if options.buffers and not options.size:
        parser.error("--buffers needs --size DxHxW")
    if options.buffers == "transmorph" and not options.window:
        parser.error("--buffers transmorph needs --window a,b,c: 5,6,7 for 160x192x224")
    if os.path.exists(options.target):
        refuse(f"{options.target}: is there already")
    read, metadata = safetensors_io.read(options.source)
    if metadata.get("format", "").startswith("regatta checkpoint"):
        refuse(f"{options.source}: is a checkpoint; make weights of it: regatta convert --weights-only")
    tensors = collections.OrderedDict(read)
    if options.buffers:
        add_buffers(tensors, options.buffers, options.size, options.window, options.source)
    torch.save({options.wrap: tensors} if options.wrap else tensors, options.target)
    print(f"{options.target}: {len(tensors)} tensors, {sum(tensor.numel() for tensor in tensors.values())} values")


if __name__ == "__main__":
    main()
