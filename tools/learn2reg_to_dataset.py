#!/usr/bin/env python3
"""A Learn2Reg folder (NAME_dataset.json, imagesTr, labelsTr, masksTr, keypointsTr) as a data set file for
`regatta pack`. Nothing is copied: the data set file names the NIfTI files where they are.

Pairs: registration_val for validation, registration_test for testing; for training training_paired_images without the
validation subjects, or, where the release lists none, all ordered pairs. A data set file carries one label map a
subject: --labels chooses the label maps or the masks. Key-points and landmarks are not carried; the output says so.
"""
import argparse
import json
import pathlib
import re

from nifti_files import Refused, read_header, relative, run, summary, write_dataset

TRAIN, VAL, TEST = "training_paired_images", "registration_val", "registration_test"
NOT_CARRIED = ("keypoints", "landmarks")


def read_release(folder):
    """(path, content) of the folder's *_dataset.json."""
    files = sorted(folder.glob("*_dataset.json")) or sorted(folder.glob("dataset.json"))
    if len(files) != 1:
        raise Refused(f"{folder}: {len(files)} files *_dataset.json, one expected")
    try:
        release = json.loads(files[0].read_text(encoding="utf-8"))
    except ValueError as error:
        raise Refused(f"{files[0]}: not JSON: {error}") from None
    if not isinstance(release, dict):
        raise Refused(f"{files[0]}: an object expected")
    return files[0], release


def id_of(image):
    name = re.sub(r"\.nii(\.gz)?$", "", pathlib.PurePosixPath(image).name)
    return re.sub(r"[^A-Za-z0-9._+=@-]", "_", name)


class Release:
    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.path, self.content = read_release(folder)
        self.rows = {}  # id: row of the release
        for key in ("training", "test"):
            for row in self.list_of(key):
                row = {"image": row} if isinstance(row, str) else row
                if not isinstance(row, dict) or not isinstance(row.get("image"), str):
                    raise Refused(f"{self.path}: {key}: rows with an image expected, got {row!r:.80}")
                self.rows.setdefault(id_of(row["image"]), row)

    def list_of(self, key):
        value = self.content.get(key, [])
        if not isinstance(value, list):
            raise Refused(f"{self.path}: {key}: a list expected")
        return value

    def pairs_of(self, key, split):
        pairs = []
        for row in self.list_of(key):
            if not isinstance(row, dict) or not all(isinstance(row.get(side), str) for side in ("fixed", "moving")):
                raise Refused(f"{self.path}: {key}: rows of fixed and moving expected, got {row!r:.80}")
            for side in ("moving", "fixed"):  # images of test pairs may be named nowhere else
                self.rows.setdefault(id_of(row[side]), {"image": row[side]})
            pairs.append({"split": split, "moving": id_of(row["moving"]), "fixed": id_of(row["fixed"])})
        return pairs

    def file_of(self, name, required):
        """A file of the release, or None where it does not exist: hidden labels."""
        path = self.folder / name
        if path.is_file():
            return path
        if required:
            raise Refused(f"{self.path}: names {name}, which does not exist")
        return None

    def labels_of(self, row):
        kind = self.options.labels
        if kind == "none":
            return None
        image = pathlib.PurePosixPath(row["image"])
        # Releases of 2021 list no labels.
        beside = str(image.parent).replace("images", f"{kind}s", 1) + f"/{image.name}"
        return self.file_of(row.get(kind) or beside, required=kind in row)

    def subject(self, name, split, out):
        row = self.rows[name]
        subject = {"id": name, "image": relative(self.file_of(row["image"], True), out), "split": split}
        labels = self.labels_of(row)
        if labels:
            subject["labels"] = relative(labels, out)
        return subject

    def dataset(self, out):
        val = self.pairs_of(VAL, "val")
        test = [] if self.options.no_test else self.pairs_of(TEST, "test")
        splits = {pair[side]: pair["split"] for pair in test + val for side in ("moving", "fixed")}
        paired = [pair for pair in self.pairs_of(TRAIN, "train")
                  if splits.get(pair["moving"], "train") == splits.get(pair["fixed"], "train") == "train"]
        training = {pair[side] for pair in paired for side in ("moving", "fixed")} or \
                   {id_of(row["image"] if isinstance(row, dict) else row) for row in self.list_of("training")}
        subjects = [self.subject(name, splits.get(name, "train"), out)
                    for name in sorted(self.rows) if name in splits or name in training]
        if not subjects:
            raise Refused(f"{self.path}: no training images and no pairs")
        shape, spacing, orientation = read_header(out / subjects[0]["image"])
        return {"schema": 1, "name": self.content.get("name") or self.folder.name, "subjects": subjects,
                "pairs": {"rule": "explicit" if paired else "all", "explicit": paired + val + test},
                "preprocess": {"orientation": orientation, "spacing_mm": spacing, "shape": shape,
                               "intensity": self.intensity(), "type": self.options.type}}

    def intensity(self):
        if self.options.window:
            low, high = self.options.window
            if not low < high:
                raise Refused(f"--window {low} {high}: the lower value first")
            return {"kind": "window", "low": low, "high": high}
        if self.options.intensity == "auto" and "CT" in str(self.content.get("modality", "")):
            return {"kind": "window", "low": -1000.0, "high": 500.0}
        return {"kind": "minmax" if self.options.intensity == "auto" else self.options.intensity}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="the unpacked release")
    parser.add_argument("-o", "--out", type=pathlib.Path, help="the data set file; default: dataset.json, regatta_* if "
                                                               "that is the release's own")
    parser.add_argument("--labels", choices=("label", "mask", "none"), default="label",
                        help="what becomes the label map (%(default)s)")
    parser.add_argument("--intensity", choices=("auto", "minmax", "percentile", "none"), default="auto",
                        help="auto: CT from -1000..500 to 0..1, everything else minmax")
    parser.add_argument("--window", nargs=2, type=float, metavar=("LOW", "HIGH"), help="these values become 0 and 1")
    parser.add_argument("--type", default="float32", choices=("float32", "uint8"), help="of the packed images")
    parser.add_argument("--no-test", action="store_true", help="without registration_test, whose images may be hidden")
    options = parser.parse_args(arguments)

    def convert():
        release = Release(options.folder, options)
        out = options.out or options.folder / ("dataset.json" if release.path.name != "dataset.json"
                                               else "regatta_dataset.json")
        if out.resolve() == release.path.resolve():
            raise Refused(f"{out}: is the release's own file; name another with -o")
        dataset = release.dataset(out.parent)
        write_dataset(out, dataset)
        print(f"{out}: {summary(dataset)}")
        found = [key for key in NOT_CARRIED if any(key in row for row in release.rows.values())]
        if options.labels != "mask" and any("mask" in row for row in release.rows.values()):
            found.append("masks (--labels mask packs them as labels)")
        if found:
            print(f"not carried by a data set file: {', '.join(found)}")
        without = sum("labels" not in subject for subject in dataset["subjects"])
        if without and options.labels != "none":
            print(f"{without} subjects without a {options.labels}")

    run("learn2reg_to_dataset", convert)


if __name__ == "__main__":
    main()
