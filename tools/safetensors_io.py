"""Reads and writes safetensors files with torch alone, for the two tools beside it.

The format: 8 bytes of little-endian length, that many bytes of JSON (name -> type, shape, byte offsets), the data.
"""
import ctypes
import json
import struct
import sys
import warnings

warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
import torch  # noqa: E402

HEADER_CAP = 100_000_000
TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32,
         "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}
NAMES = {torch_type: name for name, torch_type in TYPES.items()}


def refuse(text):
    """Ends the program with one line."""
    sys.exit(" ".join(str(text).split()))


def bytes_of(tensor):
    tensor = tensor.detach().cpu().contiguous()
    return ctypes.string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size()) if tensor.numel() else b""


def write(path, tensors, metadata):
    """tensors: name -> tensor, written in that order without gaps; metadata: text -> text."""
    header = {"__metadata__": metadata} if metadata else {}
    position = 0
    for name, tensor in tensors.items():
        if tensor.dtype not in NAMES:
            refuse(f"{path}: tensor '{name}': {tensor.dtype} has no safetensors type")
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [position, position + size]}
        position += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "xb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(bytes_of(tensor))


def read(path):
    """(name -> tensor in the order of the data, metadata). Ends the program with one line for a broken file."""
    with open(path, "rb") as file:
        content = file.read()
    if len(content) < 8 or (length := struct.unpack("<Q", content[:8])[0]) > min(HEADER_CAP, len(content) - 8):
        refuse(f"{path}: not a safetensors file")
    try:
        header = json.loads(content[8:8 + length])
        metadata = header.pop("__metadata__", {})
        entries = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
        tensors, data, position = {}, content[8 + length:], 0
        for name, entry in entries:
            begin, end = entry["data_offsets"]
            tensor = torch.empty(entry["shape"], dtype=TYPES[entry["dtype"]])
            if begin != position or end > len(data) or end - begin != tensor.numel() * tensor.element_size():
                refuse(f"{path}: tensor '{name}': its offsets do not fit its shape or the file")
            if end > begin:
                ctypes.memmove(tensor.data_ptr(), data[begin:end], end - begin)
            tensors[name], position = tensor, end
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        refuse(f"{path}: not a safetensors file: {error!r}")
    return tensors, metadata
