#!/usr/bin/env python3
"""`regatta inspect` on a set packed from files made here: what is planted is named, in text, JSON and picture.

usage: inspect_archive.py REGATTA
"""
import json
import math
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

REGATTA = sys.argv[1]
SHAPE = (28, 32, 24)  # voxels of 6 mm, indices grow to the right, front, top
# middle, radius (mm), value, label; left and right are not alike
PARTS = [((0, 0, 0), (60, 76, 58), 55, 1), ((-26, 14, 6), (13, 22, 15), 25, 2), ((27, 6, 4), (18, 26, 18), 25, 3),
         ((0, 48, -6), (22, 12, 15), 30, 4), ((-24, -40, -20), (18, 14, 14), 20, 0)]


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text, flush=True)
    if not condition:
        sys.exit(1)


def write_nifti(path, code, form, voxels):
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *SHAPE, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, code, {"B": 8, "h": 16}[form])
    struct.pack_into("<8f", header, 76, 1.0, 6.0, 6.0, 6.0, 0, 0, 0, 0)
    struct.pack_into("<f", header, 108, 352.0)
    struct.pack_into("<2h", header, 252, 0, 1)
    struct.pack_into("<12f", header, 280, 6, 0, 0, 0, 0, 6, 0, 0, 0, 0, 6, 0)
    header[344:348] = b"n+1\0"
    path.write_bytes(bytes(header) + struct.pack(f"<{len(voxels)}{form}", *voxels))


def scan(number, mirrored):
    """Image and labels in file order (the first index fastest), in a pose of its own."""
    rng = random.Random(number)
    angle = rng.uniform(-0.15, 0.15)
    cos, sin = math.cos(angle), math.sin(angle)
    shift = [rng.uniform(-6, 6) for _ in range(3)]
    scale = rng.uniform(0.94, 1.06)
    image, labels = [], []
    for k in range(SHAPE[2]):
        z = (6 * (k - 11.5) - shift[2]) * scale
        for j in range(SHAPE[1]):
            for i in range(SHAPE[0]):
                a = 6 * ((SHAPE[0] - 1 - i if mirrored else i) - 13.5) - shift[0]
                b = 6 * (j - 15.5) - shift[1]
                x, y = (cos * a - sin * b) * scale, (sin * a + cos * b) * scale
                value, label = rng.uniform(0, 3), 0
                for (cx, cy, cz), (rx, ry, rz), level, mark in PARTS:
                    if ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2 < 1:
                        value += level
                        label = mark or label
                image.append(round(value))
                labels.append(label)
    return image, labels


def run(*arguments, code=0):
    done = subprocess.run([REGATTA, *map(str, arguments)], capture_output=True, text=True)
    check(done.returncode == code, f"regatta {arguments[0]} ends with {code}: {done.stderr.strip()[-300:]}")
    return done.stdout


def main(folder):
    subjects = []
    for i in range(10):
        image, labels = scan(2 if i == 7 else i, i == 3)
        write_nifti(folder / f"s{i}.nii", 4, "h", image)
        write_nifti(folder / f"l{i}.nii", 2, "B", [0] * len(labels) if i == 5 else labels)
        subjects.append({"id": f"s{i}", "image": f"s{i}.nii", "labels": f"l{i}.nii",
                         "split": "val" if i == 9 else "train"})
    (folder / "set.json").write_text(json.dumps({"schema": 1, "name": "made up", "subjects": subjects,
                                                 "pairs": {"rule": "atlas", "atlas": "s0"}}))
    archive = folder / "set.h5"
    run("pack", folder / "set.json", "-o", archive)
    planted = {"s3": {"mirrored"}, "s5": {"empty_labels"}, "s7": {"duplicate"}}

    text = run("inspect", archive, "--pairs", "--qc", folder / "look.png", "--json", folder / "look.json")
    found = text[text.index("because"):]
    for name in ("s3", "s5", "s7"):
        check(f"\n{name} " in found, f"the text names {name}")
    check("the same packed voxels as 's2' (train)" in found, "the text says whose duplicate it is")
    check(sum(line.startswith("s") for line in found.splitlines()) == 3, "and nobody else")
    check("subjects     10 (train 9, val 1)" in text and "pairs        train 8, val 1" in text, "the header counts")
    check("val    s0" in text, "the pairs are listed")
    check((folder / "look.png").read_bytes()[:4] == b"\x89PNG", "the picture is there")

    report = json.loads((folder / "look.json").read_text())
    check({s["id"]: {f["rule"] for f in s["findings"]} for s in report["subjects"] if s["findings"]} == planted,
          "JSON names what is planted")
    check(json.loads(run("inspect", archive, "--json", "-")) == report, "JSON on stdout is the same and alone")

    check("20 volumes" in run("inspect", archive, "--verify"), "20 volumes verified")
    # Label values 0..4 are their own indices; in the archive the last index is the fastest.
    labels = scan(1, False)[1]
    packed = bytes(labels[(k * SHAPE[1] + j) * SHAPE[0] + i]
                   for i in range(SHAPE[0]) for j in range(SHAPE[1]) for k in range(SHAPE[2]))
    data = bytearray(archive.read_bytes())
    data[data.index(packed) + len(packed) // 2] ^= 1
    broken = folder / "broken.h5"
    broken.write_bytes(bytes(data))
    text = run("inspect", broken, "--verify", code=3)
    check("labels of 's1': checksum" in text and "1 damaged" in text, "a changed byte is found and named")

    run("inspect", archive, "--verify", "--pairs", code=2)
    run("inspect", folder / "none.h5", code=3)


with tempfile.TemporaryDirectory() as name:
    main(pathlib.Path(name))
