#!/usr/bin/env python3
"""Puts our figures and PyTorch's beside each other: join_inference.py FOLDER NETWORK[,NETWORK] OUTPUT

Called by tools/bench/cpu_inference.sh, which left NETWORK.ours.json and NETWORK.torch.json in the folder.
"""
import json
import pathlib
import platform
import re
import sys


def cpu_name():
    found = re.search(r"^model name\s*: (.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def main():
    folder, names, output = sys.argv[1:4]
    rows = []
    for name in names.split(","):
        report = json.loads((pathlib.Path(folder) / f"{name}.ours.json").read_text())
        theirs = json.loads((pathlib.Path(folder) / f"{name}.torch.json").read_text())
        ours = report["rows"][0]
        if "error" in ours:
            sys.exit(f"{name}: {ours['error']}")
        rows.append(
            {
                "network": name,
                "parameters": ours["parameters"],
                "ours": {key: ours[key] for key in ("inference_ms", "host_bytes_before", "host_bytes_peak")},
                "pytorch": {key: theirs[key] for key in ("inference_ms", "host_bytes_before", "host_bytes_peak")},
                "time_over_pytorch": ours["inference_ms"]["median"] / theirs["inference_ms"]["median"],
                "peak_over_pytorch": ours["host_bytes_peak"] / theirs["host_bytes_peak"],
                "largest_displacement": theirs["largest_displacement"],
                "largest_difference": theirs["largest_difference"],
                "relative_difference": theirs["relative_difference"],
            }
        )
    head = {key: report[key] for key in ("schema", "build", "when", "size", "host_threads", "channels_last")}
    head |= {"benchmark": "CPU inference", "torch": report["torch"], "pytorch": theirs["torch"], "cpu": cpu_name()}
    pathlib.Path(output).write_text(json.dumps(head | {"rows": rows}, indent=2) + "\n")
    for row in rows:
        print(
            f"{row['network']}: ours {row['ours']['inference_ms']['median']:.0f} ms, PyTorch "
            f"{row['pytorch']['inference_ms']['median']:.0f} ms ({row['time_over_pytorch']:.2f}); peak "
            f"{row['ours']['host_bytes_peak'] / 2**30:.2f} GiB, {row['pytorch']['host_bytes_peak'] / 2**30:.2f} GiB "
            f"({row['peak_over_pytorch']:.2f}); fields differ by {row['largest_difference']:.2g} voxels, relative "
            f"{row['relative_difference']:.2g}"
        )
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
