#!/usr/bin/env python3
"""Files as other programs write them, through the programs as a user calls them: sheared scans for ITK, labels that
nibabel rescales, FreeSurfer's mgz, and the releases of LUMIR and ThoraxCBCT. SimpleITK and nibabel judge.

usage: foreign_files.py BIN_DIR [sheared|labels|freesurfer|lumir|thorax ...]
Skips by name where nibabel, numpy or SimpleITK is not installed, or the engine is not built.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import nibabel
    import numpy
    import SimpleITK
except ImportError as missing:
    print(f"SKIPPED: foreign_files: {missing.name}")
    sys.exit(0)

BIN = pathlib.Path(sys.argv[1])
HAS_ENGINE = (BIN / "regatta-engine").exists()
RANDOM = numpy.random.default_rng(0)


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text, flush=True)
    if not condition:
        sys.exit(1)


def run(*arguments, code=0):
    """What the command says on both streams."""
    done = subprocess.run([str(BIN / "regatta"), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != code:
        check(False, f"{' '.join(map(str, arguments))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def smooth(shape, seed=0):
    """A blob with some texture, 0 to 900."""
    grid = numpy.stack(numpy.meshgrid(*[numpy.linspace(-1, 1, n) for n in shape], indexing="ij"))
    blob = numpy.exp(-3 * (grid**2).sum(0))
    return 900 * blob * (0.8 + 0.2 * numpy.sin(5 * grid[0] + seed) * numpy.cos(4 * grid[1] - seed))


def save(path, voxels, affine=numpy.eye(4), kind=numpy.int16):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(numpy.asarray(voxels).astype(kind), affine), path)


def worst_corner(image, affine):
    """The largest distance, in voxels, between where SimpleITK and an affine (RAS) put a corner."""
    worst = 0.0
    for corner in numpy.ndindex(2, 2, 2):
        voxel = [c * (n - 1) for c, n in zip(corner, image.GetSize())]
        theirs = numpy.array(image.TransformIndexToPhysicalPoint(voxel)) * [-1, -1, 1]
        back = numpy.linalg.inv(affine) @ [*theirs, 1]
        worst = max(worst, numpy.abs(back[:3] - voxel).max())
    return worst


def sheared(folder):
    if not HAS_ENGINE:
        print("SKIPPED: foreign_files: sheared: no regatta-engine in this build")
        return
    shape = (32, 48, 16)
    for seed, name in enumerate("ab"):
        save(folder / f"{name}.nii", smooth(shape, seed))
    save(folder / "labels.nii", smooth(shape, 1) > 300, kind=numpy.uint8)
    (folder / "d.json").write_text(json.dumps({"schema": 1, "subjects": [{"id": k, "image": f"{k}.nii"} for k in "ab"]}))
    run("pack", folder / "d.json", "-o", folder / "a.h5")
    run("convert", "new", "voxelmorph-2", "--preprocess-from", folder / "a.h5", "-o", folder / "m.safetensors")
    turn = numpy.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]])
    for name, shear, qform, readable in (("kept", 4e-4, True, True), ("nearest", 4e-4, False, True), ("tilted", 0.2, True, True),
                                         ("alone", 0.2, False, False)):
        straight = numpy.eye(4)
        straight[:3, :3] = turn @ numpy.diag([1.0, 1.25, 2.0])
        straight[:3, 3] = (5, -7, 9)
        leant = straight @ numpy.array([[1, 0, 0, 0], [0, 1, shear, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        image = nibabel.Nifti1Image(smooth(shape).astype(numpy.int16), leant)
        image.set_sform(leant, 1)
        image.set_qform(straight if qform else None, 1 if qform else 0)
        fixed = folder / f"{name}.nii"
        nibabel.save(image, fixed)
        out = folder / name
        said = run("register", "--model", folder / "m.safetensors", "--fixed", fixed, "--moving", folder / "b.nii",
                   "--moving-labels", folder / "labels.nii", "-o", out, "--device", "cpu")
        for file in ("displacement.nii.gz", "warped.nii.gz", "warped_labels.nii.gz"):
            written = nibabel.load(out / file)
            check(numpy.allclose(written.get_sform(), leant, atol=1e-5), f"sheared, {name}: {file}: the sform is the fixed scan's")
            try:
                seen = SimpleITK.ReadImage(str(out / file))
            except RuntimeError:
                seen = None
            check((seen is not None) == readable, f"sheared, {name}: {file}: SimpleITK {'reads' if readable else 'refuses'} it")
            if seen is None:
                continue
            if qform:
                original = SimpleITK.ReadImage(str(fixed))
                check(numpy.allclose(seen.GetOrigin(), original.GetOrigin(), atol=1e-5) and
                      numpy.allclose(seen.GetSpacing(), original.GetSpacing(), atol=1e-6) and
                      numpy.allclose(seen.GetDirection(), original.GetDirection(), atol=1e-6),
                      f"sheared, {name}: {file}: SimpleITK puts it where it puts the fixed scan")
            if shear < 0.1:
                shift = worst_corner(seen, leant)
                check(shift < 0.1, f"sheared, {name}: {file}: SimpleITK's corners are {shift:.4f} voxels from ours")
        wanted = {"tilted": "sform and qform differ", "alone": "not at right angles"}.get(name)
        check((wanted or "ITK") in said if wanted else "ITK" not in said, f"sheared, {name}: " + (f"'{wanted}' is said once" if wanted else "no warning"))
        if wanted:
            check(said.count(wanted) == 1, f"sheared, {name}: and not for every file")


def labels(folder):
    shape = (32, 32, 32)
    for seed, name in enumerate(("s1", "s2", "s3")):
        scan = nibabel.Nifti1Image(smooth(shape, seed).astype(numpy.int16), numpy.eye(4))
        (folder / "scans").mkdir(exist_ok=True)
        nibabel.save(scan, folder / "scans" / f"{name}.nii.gz")
        whole = numpy.zeros(shape)
        whole[8:16, 8:16, 8:16] = 3
        whole[18:24, 8:16, 8:16] = 47
        for kind, values in (("seg", whole), ("mask", (whole > 0) * 1.0 + (smooth(shape) > 800) * 2.0)):
            nibabel.save(nibabel.Nifti1Image(values, numpy.eye(4), scan.header), folder / "scans" / f"{name}_{kind}.nii.gz")
    stored = nibabel.load(folder / "scans" / "s1_seg.nii.gz").get_fdata()
    check(not numpy.array_equal(stored, numpy.round(stored)) and numpy.abs(stored - numpy.round(stored)).max() < 0.01,
          f"labels: nibabel stored {sorted(set(stored.ravel()))[1]:.6f} for 3")
    said = run("init", folder / "scans", "-o", folder)
    check("with labels 3, masks 3" in said and "label maps left out" not in said, "labels: init takes them")
    check("whole numbers only up to rounding" in said, "labels: init says that they are rounded")
    said = run("pack", folder / "dataset.json", "-o", folder / "a.h5")
    check("labels       2 values, in 3 subjects" in said and "masks        in 3 subjects" in said, "labels: pack takes them")
    odd = sum(int((nibabel.load(path).get_fdata() % 1 != 0).sum()) for path in (folder / "scans").glob("*_*.nii.gz"))
    check(f"{odd} values of" in said, f"labels: pack says how many: {odd}")
    if HAS_ENGINE:
        run("convert", "new", "voxelmorph-2", "--preprocess-from", folder / "a.h5", "-o", folder / "m.safetensors")
        run("register", "--model", folder / "m.safetensors", "--fixed", folder / "scans/s1.nii.gz", "--moving",
            folder / "scans/s2.nii.gz", "--moving-labels", folder / "scans/s2_seg.nii.gz", "-o", folder / "out", "--device", "cpu")
        warped = nibabel.load(folder / "out" / "warped_labels.nii.gz").get_fdata()
        check(set(warped.ravel()) <= {0.0, 3.0, 47.0} and (warped == 47).any(), "labels: register warps whole numbers")


def freesurfer(folder):
    shape = (33, 32, 30)
    lia = numpy.array([[-1, 0, 0, 16.5], [0, 0, 1.25, -18], [0, -1, 0, 17], [0, 0, 0, 1]], float)
    turned = lia.copy()
    turned[:3, :3] = numpy.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]]) @ lia[:3, :3]
    for seed, name in enumerate(("s1", "s2", "s3")):
        image = smooth(shape, seed)
        parts = numpy.where(image > 500, 2035, numpy.where(image > 300, 17, 0))
        kind = (numpy.uint8, numpy.float32, numpy.int16)[seed]
        voxels = (image / 4 if kind == numpy.uint8 else image).astype(kind)
        (folder / "scans").mkdir(exist_ok=True)
        nibabel.save(nibabel.MGHImage(voxels, lia), folder / "scans" / f"{name}.mgz")
        nibabel.save(nibabel.MGHImage(parts.astype(numpy.int32), lia), folder / "scans" / f"{name}_aseg.mgz")
    said = run("init", folder / "scans", "-o", folder)
    check("subjects     3" in said and "with labels 3" in said, "freesurfer: init takes mgz scans and their labels")
    dataset = json.loads((folder / "dataset.json").read_text())
    dataset["preprocess"].update({"orientation": "LIA", "shape": list(shape), "spacing_mm": [], "center": "volume", "type": "float32",
                                  "intensity": {"kind": "minmax"}})
    (folder / "plain.json").write_text(json.dumps(dataset))
    run("pack", folder / "plain.json", "-o", folder / "a.h5")
    for row in dataset["subjects"]:  # the same scans as nibabel reads them
        for part in ("image", "labels"):
            image = nibabel.load(folder / row[part])
            row[part] = row[part].replace(".mgz", ".nii")
            save(folder / row[part], numpy.asarray(image.dataobj), image.affine, image.get_data_dtype())
    (folder / "nifti.json").write_text(json.dumps(dataset))
    run("pack", folder / "nifti.json", "-o", folder / "b.h5")
    prints = []
    for name in ("a", "b"):
        run("inspect", folder / f"{name}.h5", "--json", folder / f"{name}.json")
        prints.append(json.loads((folder / f"{name}.json").read_text())["fingerprint"])
    check(prints[0] == prints[1], f"freesurfer: voxels, labels and vox2ras are nibabel's: {prints}")
    if HAS_ENGINE:
        dataset["preprocess"]["shape"] = [48, 32, 32]  # the network takes multiples of 16
        (folder / "padded.json").write_text(json.dumps(dataset))
        run("pack", folder / "padded.json", "-o", folder / "c.h5")
        run("convert", "new", "voxelmorph-2", "--preprocess-from", folder / "c.h5", "-o", folder / "m.safetensors")
        nibabel.save(nibabel.MGHImage(smooth(shape).astype(numpy.float32), turned), folder / "turned.mgz")
        run("register", "--model", folder / "m.safetensors", "--fixed", folder / "turned.mgz", "--moving", folder / "scans/s1.mgz",
            "--moving-labels", folder / "scans/s1_aseg.mgz", "-o", folder / "out", "--device", "cpu")
        written = nibabel.load(folder / "out" / "warped.nii.gz")
        check(written.shape == shape and numpy.allclose(written.affine, turned, atol=1e-5), "freesurfer: register writes on the mgz's grid")
        seen = SimpleITK.ReadImage(str(folder / "out" / "displacement.nii.gz"))
        check(worst_corner(seen, turned) < 1e-3, "freesurfer: SimpleITK reads the field there")


def lumir(folder):
    def name(i):
        return f"./images{'Tr' if i < 9 else 'Val'}/LUMIRMRI_{i:04d}_0000.nii.gz"
    for i in (*range(6), *range(3454, 3458)):
        save(folder / "scans" / name(i), smooth((32, 48, 32), i), kind=numpy.float32)
    (folder / "scans" / "LUMIR_dataset.json").write_text(json.dumps({
        "name": "LUMIR", "modality": {"0": "MR"}, "training": [{"image": name(i)} for i in range(6)],
        "validation": [{"fixed": name(i), "moving": name(i - 1)} for i in (3455, 3456, 3457)]}))
    said = run("init", folder / "scans", "-o", folder)
    check("subjects     10 (train 6, val 4)" in said, "lumir: nothing is held out of the training scans")
    check("pairs        train 30, val 3" in said, "lumir: the release's three pairs validate")
    check("belong to nothing" not in said, "lumir: every file is used")
    dataset = json.loads((folder / "dataset.json").read_text())
    check([(p["moving"], p["fixed"]) for p in dataset["pairs"]["explicit"]] ==
          [(f"LUMIRMRI_{i - 1}_0000", f"LUMIRMRI_{i}_0000") for i in (3455, 3456, 3457)], "lumir: moving and fixed as listed")


def thorax(folder):
    shape = (32, 32, 32)
    pairs = {"training_paired_images": [], "registration_val": []}
    for patient in range(3):
        for scan in range(3):
            name = f"ThoraxCBCT_{patient:04d}_{scan:04d}"
            save(folder / "scans/imagesTr" / f"{name}.nii.gz", smooth(shape, patient + 0.3 * scan) * 1.5 - 1000)
            save(folder / "scans/masksTr" / f"{name}.nii.gz", smooth(shape, patient) > 200, kind=numpy.uint8)
        for fixed in (1, 2):
            points = RANDOM.integers(4, 26, (5 + fixed, 3))
            lists = folder / "scans" / f"keypoints0{fixed}Tr"
            lists.mkdir(exist_ok=True)
            for scan, moved in ((0, points + (fixed, 0, 0)), (fixed, points)):
                numpy.savetxt(lists / f"ThoraxCBCT_{patient:04d}_{scan:04d}.csv", moved, fmt="%d", delimiter=",")
            images = [f"./imagesTr/ThoraxCBCT_{patient:04d}_{scan:04d}.nii.gz" for scan in (fixed, 0)]
            pairs["registration_val" if patient == 2 else "training_paired_images"].append(dict(zip(("fixed", "moving"), images)))
    (folder / "scans" / "ThoraxCBCT_dataset.json").write_text(json.dumps({"name": "ThoraxCBCT", "modality": {"0": "CT"}, **pairs}))
    said = run("init", folder / "scans", "-o", folder)
    check("pairs        train 4, val 2; with key-points of their own 6" in said, "thorax: init finds the key-points of every pair")
    check("belong to nothing" not in said, "thorax: every list is used")
    recipe = json.loads((folder / "recipe.json").read_text())
    check("keypoint" in recipe["losses"] and recipe["validation"]["best"] == "tre", "thorax: trained on key-points, chosen by TRE")
    said = run("pack", folder / "dataset.json", "-o", folder / recipe["data"]["archive"])
    check("key-points   of 6 pairs" in said, "thorax: pack stores them")
    said = run("inspect", folder / recipe["data"]["archive"], "--pairs")
    rows = [line.split() for line in said.splitlines() if line.startswith(("train ", "val "))]
    check(sorted(row[-1] for row in rows if len(row) == 6) == ["6", "6", "6", "7", "7", "7"], "thorax: inspect --pairs counts them")
    if not HAS_ENGINE:
        print("SKIPPED: foreign_files: thorax: training: no regatta-engine in this build")
        return
    # VoxelMorph's field starts at zero, so that what is measured first is the pairs as they are.
    recipe |= {"model": {"name": "voxelmorph-2"}, "train": {"steps": 4, "batch": 1}}
    recipe["optim"]["lr"] = 1e-6
    (folder / "recipe.json").write_text(json.dumps(recipe))
    run("train", folder / "recipe.json", "-o", folder / "run", "--device", "cpu")
    lines = [json.loads(line) for path in (folder / "run").glob("**/metrics.jsonl") for line in path.read_text().splitlines()]
    tre = [line["values"]["tre"] for line in lines if "tre" in line.get("values", {})]
    check(tre and abs(tre[0] - 1.5) < 0.05, f"thorax: TRE before training is the mean of 1 and 2 voxels: {tre[:1]}")
    terms = [line["values"]["keypoint"] for line in lines if line["kind"] == "train" and "keypoint" in line["values"]]
    check(len(terms) > 0 and all(0.5 < term < 2.5 for term in terms), f"thorax: the loss has the key-points of each pair: {terms[:4]}")


def main():
    parts = {"sheared": sheared, "labels": labels, "freesurfer": freesurfer, "lumir": lumir, "thorax": thorax}
    for name in sys.argv[2:] or parts:
        with tempfile.TemporaryDirectory(prefix="regatta-foreign-") as folder:
            parts[name](pathlib.Path(folder))


if __name__ == "__main__":
    main()
