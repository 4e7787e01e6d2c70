#!/usr/bin/env python3
"""Turns a weights file of ours into a .pth that the original program loads with load_state_dict(strict=True).

usage: safetensors_to_pth.py IN.safetensors OUT.pth [--wrap KEY] [--buffers] [--size DxHxW]

--wrap state_dict makes the wrapper {"state_dict": ...} of TransMorph's programs. --buffers adds what the original saves
besides its parameters, as the network that the file names needs it: sampling grids of volumes of --size (where it is not
given: of the training's) and TransMorph's tables of offsets within a window. A checkpoint of ours goes through
`regatta convert edit --weights-only` first, another program's file through `regatta convert edit --model`.
"""
import argparse
import collections
import json
import os
import re
import sys

import safetensors_io
from safetensors_io import refuse, torch

BIAS_TABLE, OFFSETS = "relative_position_bias_table", "relative_position_index"
WITHOUT_GRID = ("voxelmorph-diff", "voxelmorph-pairwise", "transmorph-diff", "transmorph-bspl", "transmorph-affine")
# Networks that compute as their authors' program does only with this option (src/nn/weights/published.cpp).
AS_PUBLISHED = {"voxelmorph-diff": "reference", "transmorph-diff": "reference", "transmorph-bspl": "reference",
                "transmorph-oasis": "shifted_grid", "transmorph-large-oasis": "shifted_grid", "lkunet-affine": "reference"}
FORMER_VFA = re.compile(r"encoder\.((en|de)coder_conv\.\d+|upsampling\.\d+|bottleneck_conv)\.\d\.(weight|bias)")


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


def grids_of(network, options):
    """Buffer of a sampling grid -> part of the volume's size along each axis."""
    if network in WITHOUT_GRID:
        return {}
    if network.startswith("voxelmorph-"):
        return {"transformer.grid": 1}
    if network == "voxelmorph":
        inner = {"integrate.transformer.grid": options.get("int_downsize", 2)} if options.get("int_steps", 7) > 0 else {}
        return {**inner, "transformer.grid": 1}
    if network.startswith("transmorph"):
        return {"spatial_trans.grid": 1}
    return {}


def add_buffers(tensors, network, options, size, path):
    """What the original has registered besides its parameters. Returns the names."""
    tables = [name for name in tensors if name.endswith(BIAS_TABLE)] if network.startswith("transmorph") else []
    grids = grids_of(network, options)
    if (grids or "window" not in options and tables) and not size:
        refuse(f"{path}: says nothing of the size of its volumes; give --size DxHxW")
    added = {name: sampling_grid([edge // part for edge in size]) for name, part in grids.items()}
    if tables:
        window = options.get("window") or [edge // 32 for edge in size]
        rows = (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1)
        for name in tables:
            if tensors[name].shape[0] != rows:
                refuse(f"{path}: '{name}' has {tensors[name].shape[0]} rows, a window of {'x'.join(map(str, window))} has {rows}")
            added[name[:-len(BIAS_TABLE)] + OFFSETS] = offset_table(window)
    tensors.update(added)
    return list(added)


def network_of(metadata, path):
    """(name, options) of the network that the file names, ("", {}) where it names none."""
    try:
        model = json.loads(metadata.get("recipe", "{}")).get("model", {})
        return model.get("name", ""), model.get("options", {})
    except (ValueError, AttributeError) as error:
        refuse(f"{path}: metadata 'recipe': {error}")


def check_for_original(tensors, network, options, path):
    """Ends the program where the original cannot load the file; warns where it would compute another field."""
    if network == "vfa" and any(FORMER_VFA.fullmatch(name) for name in tensors):
        refuse(f"{path}: has names of an earlier version; regatta convert edit {os.path.basename(path)} -o NEW.safetensors gives them today's")
    if any(".folded." in name for name in tensors):
        refuse(f"{path}: its parallel kernels are folded (regatta convert edit --fold), the original needs them apart")
    option = AS_PUBLISHED.get(network)
    if option and not options.get(option, False):
        print(f"warning: {path}: trained with {option} false: the original computes another field of these weights (docs/weights.md)", file=sys.stderr)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--wrap", metavar="KEY")
    parser.add_argument("--buffers", action="store_true")
    parser.add_argument("--size", type=lambda text: whole_numbers(text, "x"), metavar="DxHxW")
    options = parser.parse_args(arguments)
    if os.path.exists(options.target):
        refuse(f"{options.target}: already exists")
    read, metadata = safetensors_io.read(options.source)
    if metadata.get("format", "").startswith("regatta checkpoint"):
        refuse(f"{options.source}: is a checkpoint; make weights of it: regatta convert edit --weights-only")
    network, network_options = network_of(metadata, options.source)
    tensors = collections.OrderedDict(read)
    check_for_original(tensors, network, network_options, options.source)
    added = []
    if options.buffers:
        if not network:
            refuse(f"{options.source}: does not name its network; regatta convert edit {os.path.basename(options.source)} --model NAME -o NEW.safetensors does")
        added = add_buffers(tensors, network, network_options, options.size or json.loads(metadata.get("shape", "[]")), options.source)
    torch.save({options.wrap: tensors} if options.wrap else tensors, options.target)
    print(f"{options.target}: {len(tensors)} tensors, {sum(tensor.numel() for tensor in tensors.values())} values" +
          (f"; {len(added)} of them buffers" if added else ""))
    has_buffers = grids_of(network, network_options) or any(name.endswith(BIAS_TABLE) for name in tensors)
    if has_buffers and not options.buffers:
        print(f"the original of '{network}' saves buffers too: load with strict=False, or make the file with --buffers")


if __name__ == "__main__":
    main()
