#!/usr/bin/env python3
"""The ACDC release (patientNNN folders with Info.cfg, below any folders) as a data set file for `regatta pack`.

A patient gives two subjects, the end-diastolic and the end-systolic frame, and the pairs of --direction. Nothing is
copied. Splits are those of the MemWarp protocol: 85 training, 15 validation (the last three of each group of twenty)
and 50 test patients; 128 x 128 x 16 voxels of 1.8 x 1.8 x 10 mm.
"""
import argparse
import pathlib
import re

from nifti_files import Refused, read_header, relative, run, summary, write_dataset

DIRECTIONS = {"both": [("ED", "ES"), ("ES", "ED")], "ed-to-es": [("ED", "ES")], "es-to-ed": [("ES", "ED")]}


def split_of(patient):
    if patient > 100:
        return "test"
    return "val" if (patient - 1) % 20 >= 17 else "train"


def frames_of(folder):
    """{"ED": file, "ES": file} of a patient, by its Info.cfg."""
    info = folder / "Info.cfg"
    values = dict(re.findall(r"^\s*(\w+)\s*:\s*(\S+)\s*$", info.read_text(encoding="utf-8"), re.MULTILINE))
    frames = {}
    for phase in ("ED", "ES"):
        if not values.get(phase, "").isdigit():
            raise Refused(f"{info}: {phase}: {values.get(phase, 'missing')!r}, a frame number expected")
        stem = f"{folder.name}_frame{int(values[phase]):02d}"
        found = [folder / f"{stem}{end}" for end in (".nii.gz", ".nii") if (folder / f"{stem}{end}").is_file()]
        if not found:
            raise Refused(f"{info}: {phase}: {values[phase]}, but {folder / stem}.nii.gz does not exist")
        frames[phase] = found[0]
    if frames["ED"] == frames["ES"]:
        raise Refused(f"{info}: ED and ES are both frame {values['ED']}")
    return frames


def read_patients(folder):
    """{number: folder}, sorted."""
    patients = {}
    for info in sorted(folder.rglob("Info.cfg")):
        match = re.fullmatch(r"patient(\d+)", info.parent.name)
        if match:
            first = patients.setdefault(int(match[1]), info.parent)
            if first != info.parent:
                raise Refused(f"{info.parent}: also lies in {first.parent}")
    if not patients:
        raise Refused(f"{folder}: no folder patientNNN with an Info.cfg in it")
    return dict(sorted(patients.items()))


def dataset_of(folder, out, options):
    subjects, pairs, orientation = [], [], None
    for number, patient in read_patients(folder).items():
        split = split_of(number)
        for phase, image in frames_of(patient).items():
            orientation = orientation or read_header(image)[2]
            subject = {"id": f"{patient.name}_{phase}", "image": relative(image, out), "split": split}
            labels = image.with_name(image.name.replace(".nii", "_gt.nii"))
            if labels.is_file():
                subject["labels"] = relative(labels, out)
            subjects.append(subject)
        for moving, fixed in DIRECTIONS[options.direction]:
            pairs.append({"split": split, "moving": f"{patient.name}_{moving}", "fixed": f"{patient.name}_{fixed}"})
    return {"schema": 1, "name": "ACDC", "subjects": subjects, "pairs": {"rule": "explicit", "explicit": pairs},
            "preprocess": {"orientation": orientation, "spacing_mm": [1.8, 1.8, 10.0], "shape": [128, 128, 16],
                           "intensity": {"kind": "minmax"}, "type": options.type}}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="the unpacked release: training and testing below it")
    parser.add_argument("-o", "--out", type=pathlib.Path, help="the data set file; default: dataset.json in the folder")
    parser.add_argument("--direction", choices=DIRECTIONS, default="both",
                        help="which frame is warped onto which (%(default)s, as the protocol measures)")
    parser.add_argument("--type", default="float32", choices=("float32", "uint8"), help="of the packed images")
    options = parser.parse_args(arguments)

    def convert():
        out = options.out or options.folder / "dataset.json"
        dataset = dataset_of(options.folder, out.parent, options)
        write_dataset(out, dataset)
        print(f"{out}: {summary(dataset)}")

    run("acdc_to_dataset", convert)


if __name__ == "__main__":
    main()
