#!/usr/bin/env python3
"""Turns weights saved by PyTorch into a safetensors file, under their own names. Needs Python with torch, nothing else.

usage: pth_to_safetensors.py IN.pth[.tar] OUT.safetensors

Reads with torch.load(weights_only=True): a file with anything but tensors and plain values is refused. The state dict
is taken as it is, or out of a wrapper such as {"epoch": ..., "state_dict": {...}, "optimizer": ...}. Then:
regatta convert edit OUT.safetensors --model NAME --preprocess dataset.json -o weights.safetensors
"""
import collections.abc
import os
import pickle
import sys

import safetensors_io
from safetensors_io import refuse, torch

WRAPPERS = ("state_dict", "model_state", "model_state_dict", "model", "net", "network", "weights")


def allow_numpy_numbers():
    """TransMorph's files keep their best Dice as a number of numpy: allowed where numpy is installed."""
    try:
        import numpy
        import numpy.dtypes
    except ImportError:
        return
    core = numpy._core if hasattr(numpy, "_core") else numpy.core
    numbers = [(core.multiarray.scalar, f"numpy.{package}.multiarray.scalar") for package in ("core", "_core")]
    torch.serialization.add_safe_globals([*numbers, numpy.dtype, numpy.dtypes.Float64DType, numpy.dtypes.Float32DType])


def load(path):
    allow_numpy_numbers()
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = next((line for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line), "unknown content")
        refuse(f"{path}: refused: {reason.strip()[:200]}" + ("; install numpy to read it" if "numpy" in reason else ""))
    except Exception as error:  # torch raises many kinds for files that are no archives of its own
        refuse(f"{path}: not a file of torch.save: {str(error).splitlines()[0] if str(error) else repr(error)}")


def is_state_dict(value):
    return isinstance(value, collections.abc.Mapping) and len(value) > 0 and all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in value.items())


def unwrap(content, path):
    """(state dict, key of the wrapper or '', what the wrapper held besides)"""
    if is_state_dict(content):
        return content, "", {}
    if not isinstance(content, collections.abc.Mapping):
        refuse(f"{path}: holds a {type(content).__name__}, expected a state dict")
    keys = [key for key in WRAPPERS if is_state_dict(content.get(key))]
    if len(keys) != 1:
        shown = ", ".join(f"{key}: {type(value).__name__}" for key, value in list(content.items())[:12])
        refuse(f"{path}: no state dict found, or several ({', '.join(keys) or 'none'} of {', '.join(WRAPPERS)}); it holds {shown}")
    return content[keys[0]], keys[0], {key: value for key, value in content.items() if key != keys[0]}


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 2:
        refuse(__doc__.splitlines()[2])
    source, target = map(str, arguments)
    if os.path.exists(target):
        refuse(f"{target}: already exists")
    tensors, wrapper, others = unwrap(load(source), source)
    metadata = {"source": os.path.basename(source)}
    if wrapper:
        metadata["wrapper"] = wrapper
    for key, value in others.items():
        if isinstance(value, (bool, int, float, str)):
            metadata[str(key)] = str(value)
    safetensors_io.write(target, tensors, metadata)
    left_out = [str(key) for key in others if str(key) not in metadata]
    print(f"{target}: {len(tensors)} tensors, {sum(tensor.numel() for tensor in tensors.values())} values" +
          (f", out of '{wrapper}'" if wrapper else "") + (f"; left out: {', '.join(left_out)}" if left_out else ""))


if __name__ == "__main__":
    main()
