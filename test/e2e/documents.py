#!/usr/bin/env python3
"""The fenced commands of README.md, docs/quickstart.md and docs/data.md, run one after the other on small made-up scans.

A ```json block is written to the file that the page names last before it. Commands that queue jobs find an sbatch that
only takes them. What `init` writes, and the quick start's own sweep, is made short by hand before it is trained, as
the pages say: tiny grids, one epoch of two steps, a small network.

usage: documents.py BIN_DIR SOURCE_DIR [--keep DIR]
"""
import argparse
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

try:
    import nibabel
    import numpy as np
except ImportError as error:
    print(f"SKIPPED: e2e.documents: {error}")
    sys.exit(0)

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`([\w.-]+\.json)`")
SMALL_NETWORK = {"name": "voxelmorph-custom", "options": {"encoder": [4, 4, 4, 4], "decoder": [4] * 7}}
PAGES = {"README.md": 8, "docs/quickstart.md": 8, "docs/data.md": 15}  # with the number of commands that each has at least
SHAPE = [32, 32, 32]
PHANTOMS = {"NLST": "lung", "ACDC": "heart"}  # names of docs/data.md


def make_brains(folder):
    """An atlas and five subjects of 36x40x44 voxels with two labels."""
    folder.mkdir()
    axes = np.meshgrid(*[np.arange(n) for n in (36, 40, 44)], indexing="ij")
    for index, name in enumerate(["atlas", "p01", "p02", "p03", "p04", "p05"]):
        random = np.random.default_rng(index)
        centre = np.array([18, 20, 22]) + random.uniform(-1, 1, 3)
        radius = np.sqrt(sum(((x - c) / r) ** 2 for x, c, r in zip(axes, centre, (13, 15, 17))))
        labels = (radius < 1).astype(np.uint8) + (radius < 0.5)
        image = 100 * labels + 20 * (radius < 1) * np.sin(axes[0] / 3) + random.normal(0, 3, radius.shape)
        affine = np.diag([1.0, 1.0, 1.0, 1.0])
        nibabel.save(nibabel.Nifti1Image(np.clip(image, 0, 255).astype(np.uint8), affine), folder / f"{name}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(labels.astype(np.uint8), affine), folder / f"{name}_seg.nii.gz")


def make_sbatch(folder):
    """Takes every job, and numbers it."""
    folder.mkdir()
    script = folder / "sbatch"
    script.write_text("#!/bin/sh\ncat >/dev/null\necho 4711\n")
    script.chmod(0o755)


def shorten(recipe):
    recipe["model"] = SMALL_NETWORK
    recipe["train"] = {"steps": 2}
    recipe["validation"] = {**recipe.get("validation", {}), "every_epochs": 1}


def shorten_files(work):
    """Everything that a page's commands have written, or a page shows, and that would take hours."""
    for path in work.glob("**/*.json"):
        if "runs" in path.parts or not path.is_file():
            continue
        content = json.loads(path.read_text())
        if path.name == "dataset.json" and "preprocess" in content:
            content["preprocess"]["shape"] = SHAPE
        elif "model" in content:
            shorten(content)
        elif isinstance(content.get("recipe"), dict):
            shorten(content["recipe"])
        else:
            continue
        path.write_text(json.dumps(content, indent=2))


def commands_of(block):
    """Lines without their comments; a line that ends in a backslash continues."""
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] == "regatta":
            yield line, words


def run_page(page, work, bin_dir, environment):
    text = page.read_text()
    count = 0
    for match in BLOCK.finditer(text):
        if match[1] == "json":
            names = NAMED.findall(text[: match.start()])
            content = json.loads(match[2])
            (work / names[-1]).write_text(json.dumps(content))
            continue
        for line, words in commands_of(match[2]):
            shorten_files(work)
            done = subprocess.run([str(bin_dir / "regatta"), *words[1:]], cwd=work, env=environment, text=True,
                                  capture_output=True, timeout=300)
            print(f"{'ok      ' if done.returncode == 0 else 'FAILED  '}{page.name}: {line}", flush=True)
            if done.returncode != 0:
                print(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
                sys.exit(1)
            count += 1
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bin_dir", type=pathlib.Path)
    parser.add_argument("source_dir", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--page", action="append", choices=PAGES, help="only this one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.keep or pathlib.Path(temporary)
        root.mkdir(exist_ok=True)
        make_sbatch(root / "queue")
        environment = {**os.environ, "PATH": f"{root / 'queue'}:{arguments.bin_dir}:{os.environ['PATH']}",
                       "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1"}
        for page in arguments.page or PAGES:
            work = root / pathlib.Path(page).stem
            work.mkdir()
            make_brains(work / "brains")
            if page == "docs/data.md":
                make_brains(work / "OASIS")
                for name, kind in PHANTOMS.items():
                    subprocess.run([str(arguments.bin_dir / "regatta-demo-data"), str(work / kind), kind], check=True,
                                   capture_output=True)
                    (work / kind / f"{kind}_phantom").rename(work / name)
                    for path in (work / name).glob("*_dataset.json"):
                        path.write_text(json.dumps({**json.loads(path.read_text()), "name": name}))
            count = run_page(arguments.source_dir / page, work, arguments.bin_dir.resolve(), environment)
            if count < PAGES[page]:
                print(f"FAILED  {page}: {count} commands found, at least {PAGES[page]} expected")
                sys.exit(1)


if __name__ == "__main__":
    main()
