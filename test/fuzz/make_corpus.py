#!/usr/bin/env python3
"""Writes small safetensors files, whole and broken, from which the fuzzer starts.

usage: make_corpus.py FOLDER
"""
import json
import pathlib
import struct
import sys


def tensor(kind, shape, begin, end):
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
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


if __name__ == "__main__":
    main()
