#!/usr/bin/env python3
"""Hostile names in jobs, data sets, settings and paths: nothing of them is executed, and nothing is written outside the
folder of the case. Quotes, $(), backticks, newlines, "..", options, Latin-1 bytes, four kilobytes, control characters.

usage: hostile_names.py BIN_DIR FAKE_WORKER [COUNT]     COUNT names, 500 for the whole test
"""
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

BIN = pathlib.Path(sys.argv[1]).resolve()
WORKER = str(pathlib.Path(sys.argv[2]).resolve())
COUNT = int(sys.argv[3]) if len(sys.argv) > 3 else 40
LONGEST_FILE_NAME = 255


def hostile_texts(canary, count):
    """`count` different names; each would touch the canary if a shell saw it."""
    touch = f"touch {canary}"
    cores = [f"$({touch})", f"`{touch}`", f"; {touch};", f"' ; {touch} ; '", f'" ; {touch} ; "', f"| {touch}",
             f"&& {touch} #", f"\n{touch}\n", f"\n#SBATCH --wrap='{touch}'\n", f"${{IFS}}{touch}", f"$({touch})\\",
             f"{{{touch},}}", f"> {canary}", f"<({touch})", f"!{touch}", f"\r{touch}", f"\t{touch}\x01\x1b[2J"]
    frames = ["{}", "../{}", "../../../escape{}", "-{}", "--output={}", "a/{}", "/tmp/../{}", "%n%s{}", "{}\u00e9\u4e2d",
              "~{}", "{} name with blanks", ".{}", "CON{}", "{}" + "x" * 4096, "*{}?[a-z]", "{}\\", "'{}", '"{}', "={}",
              "#{}", "\u202e{}", "{}.json", "name{}.h5"]
    rng = random.Random(1)
    texts = [frame.replace("{}", core) for frame in frames for core in cores]
    rng.shuffle(texts)
    while len(texts) < count:
        texts.append(rng.choice(texts)[:200] + rng.choice(cores) + str(len(texts)))
    return texts[:count]


def write_scan(path):
    shape = (16, 16, 16)
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 2, 8)
    struct.pack_into("<8f", header, 76, *[1.0] * 8)
    struct.pack_into("<f", header, 108, 352.0)
    struct.pack_into("<h", header, 254, 1)
    for row in range(3):
        struct.pack_into("<4f", header, 280 + 16 * row, *[1.0 if column == row else 0.0 for column in range(4)])
    header[344:348] = b"n+1\0"
    voxels = bytes((i * 7 + i // 16) % 251 for i in range(16 ** 3))
    path.write_bytes(bytes(header) + voxels)


def snapshot(root):
    return {(folder, name) for folder, folders, files in os.walk(os.fsencode(root)) for name in folders + files}


class Case:
    """One name, tried in every place that takes one; all inside a folder of its own."""

    def __init__(self, root, number, text, canary):
        self.text, self.canary, self.root = text, canary, root
        self.folder = root / f"case{number}"
        self.folder.mkdir()
        self.runs = 0

    def run(self, program, *arguments, code=None):
        env = dict(os.environ, REGATTA_WORKER=WORKER, REGATTA_FAKE='{"steps": 2, "ms": 0}', HOME=str(self.folder))
        arguments = [argument if isinstance(argument, bytes) else os.fsencode(str(argument)) for argument in arguments]
        if any(b"\0" in argument for argument in arguments):
            return None
        done = subprocess.run([os.fsencode(BIN / program), *arguments], cwd=self.folder, env=env, capture_output=True,
                              timeout=120)
        self.runs += 1
        error = done.stderr.decode(errors="replace")
        if error.strip().count("\n") > 3:
            sys.exit(f"FAILED: {self.text[:80]!r}: {program} {str(arguments)[:300]}: more than a line\n{error[:1000]}")
        if done.returncode < 0 or done.returncode in (70, 134, 139):
            sys.exit(f"FAILED: {self.text[:80]!r}: {program} {str(arguments)[:300]}: code {done.returncode}\n{error[:1000]}")
        if self.canary.exists():
            sys.exit(f"FAILED: {self.text[:80]!r} was executed by {program} {str(arguments)[:300]}")
        if code is not None and done.returncode != code:
            sys.exit(f"FAILED: {self.text[:80]!r}: {program} {str(arguments)[:300]}: code {done.returncode}, expected {code}\n{error[:1000]}")
        return done.returncode

    def job(self, name="plain", archive="none.h5", axes=None):
        job = {"schema": 1, "name": name, "recipe": {"data": {"archive": archive}, "losses": {"ncc": {}}},
               "axes": axes or {"/optim/lr": {"list": [0.1]}}}
        path = self.folder / "job.json"
        path.write_text(json.dumps(job))
        return path

    def try_job_names(self):
        self.run("regatta", "plan", self.job(name=self.text), code=2)
        self.run("regatta-launch", "sweep", self.job(name=self.text), code=2)
        self.run("regatta", "submit", "--print", self.job(name=self.text), code=2)

    def try_paths(self):
        """The name as a sweep's folder, a job file and an archive, where the file system takes it."""
        name = self.text.replace("/", "_").replace("\0", "")
        job = self.job(archive=self.text, axes={"/optim/lr": {"list": [0.1]}})
        if name not in (".", "..") and len(os.fsencode(name)) <= LONGEST_FILE_NAME - 60:
            sweep = self.folder / "sweeps" / name
            sweep.parent.mkdir()
            code = self.run("regatta-launch", "sweep", job, f"--output={sweep}")
            if code == 0:
                for command in ("status", "collect", "stop", "clean"):
                    self.run("regatta", command, "--", sweep, code=0)
                self.run("regatta", "logs", "--", sweep, "0", code=0)
            self.run("regatta", "submit", "--print", job, f"--output={sweep}")
            other = self.folder / name
            shutil.copy(job, other)
            self.run("regatta", "plan", "--", other)
        self.run("regatta", "status", "--", self.text)
        self.run("regatta", "collect", "--", self.text)

    def try_settings(self):
        job = self.job()
        self.run("regatta-launch", "sweep", job, "-o", self.folder / "set", "--set", f"/data/archive={self.text}")
        self.run("regatta-launch", "sweep", job, "-o", self.folder / "set2", "--set", self.text)
        for option in ("--account", "--qos", "--partition", "--constraint", "--time", "--site"):
            self.run("regatta", "submit", "--print", job, f"{option}={self.text}")

    def try_data_set(self):
        write_scan(self.folder / "a.nii")
        for subject in ({"id": self.text, "image": "a.nii"}, {"id": "a", "image": self.text}):
            data = {"schema": 1, "subjects": [subject, {"id": "b", "image": "a.nii"}]}
            (self.folder / "dataset.json").write_text(json.dumps(data))
            self.run("regatta", "pack", "dataset.json", "-o", "out.h5")


def main():
    root = pathlib.Path(tempfile.mkdtemp(prefix="regatta-hostile-"))
    try:
        canary = root / "canary"
        (root / "cases").mkdir()
        before = None
        runs = 0
        for number, text in enumerate(hostile_texts(canary, COUNT)):
            case = Case(root / "cases", number, text, canary)
            case.try_job_names()
            case.try_paths()
            case.try_settings()
            case.try_data_set()
            runs += case.runs
            shutil.rmtree(os.fsencode(case.folder))
            after = snapshot(root)
            before = before or {(os.fsencode(root), b"cases")}
            if after != before:
                sys.exit(f"FAILED: {text!r} left {sorted(after - before)} outside its folder")
        print(f"ok: {COUNT} hostile names in {runs} runs: none was executed, nothing was written outside")
    finally:
        shutil.rmtree(os.fsencode(root), ignore_errors=True)


main()
