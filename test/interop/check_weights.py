#!/usr/bin/env python3
"""Checks the way of weights out of this program into PyTorch and back, for every network.

usage: check_weights.py BIN_DIR [MODEL...]      Python with torch; skips by name without it

For each network of `regatta-engine describe --models`: fresh weights written by `regatta convert --new`, turned into a
.pth by tools/safetensors_to_pth.py, must load with torch.load(weights_only=True) under the same names and shapes with
the values that stand in the file; and back through tools/pth_to_safetensors.py and `regatta convert --model`, which
checks names and shapes against the network, the bytes of the data must be the same. The real LKU-Net file is checked
where it is ($REGATTA_TEST_DATA, else shared/data beside the checkout).
"""
import fractions
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
try:
    import torch
except ImportError as missing:
    print(f"SKIPPED: check_weights: {missing.name}")
    sys.exit(0)

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import safetensors_io  # noqa: E402
LKUNET = ("lkunet_c4_ixi.pth", 84, 522_950)


def check(condition, text):
    print(("ok      " if condition else "FAILED  ") + text, flush=True)
    if not condition:
        sys.exit(1)


def run(*command):
    """What the command printed, on stdout."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    check(done.returncode == 0, " ".join(pathlib.Path(part).name if "/" in str(part) else str(part) for part in command[:4])
          if done.returncode == 0 else f"{command}: code {done.returncode}: {done.stderr}{done.stdout}")
    return done.stdout


def tool(name, *arguments):
    return run(sys.executable, ROOT / "tools" / name, *arguments)


def read_raw(path):
    """Names with type, shape and bytes, and all data, read here alone: no code of the tools."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    data = content[8 + length:]
    return {name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])]) for name, entry in header.items()}, data


def values_equal(tensor, raw):
    """Float32 tensor against little-endian bytes."""
    return tensor.dtype == torch.float32 and torch.frombuffer(bytearray(raw), dtype=torch.float32).equal(tensor.flatten())


def check_network(engine, name, parameters, folder):
    ours, pth, back, again = (folder / file for file in ("ours.safetensors", "w.pth", "back.safetensors", "again.safetensors"))
    run(engine, "convert", "--new", name, "--seed", 5, "-o", ours)
    tool("safetensors_to_pth.py", ours, pth, "--wrap", "state_dict")
    tensors = torch.load(pth, weights_only=True)["state_dict"]
    raw, data = read_raw(ours)
    check(list(tensors) == list(raw), f"{name}: {len(raw)} names in the same order")
    check(all(list(tensors[key].shape) == shape for key, (_, shape, _) in raw.items()), f"{name}: shapes")
    check(sum(tensor.numel() for tensor in tensors.values()) == parameters, f"{name}: {parameters} parameters")
    check(all(values_equal(tensors[key], part) for key, (_, _, part) in raw.items()), f"{name}: values")
    del tensors, raw
    tool("pth_to_safetensors.py", pth, back)
    run(engine, "convert", back, "--model", name, "-o", again)
    check(read_raw(again)[1] == data, f"{name}: back through .pth, {len(data)} bytes equal")


def check_buffers(engine, folder):
    """What safetensors_to_pth.py adds for the original programs, and that our side leaves it out again."""
    ours, pth, back, again = (folder / file for file in ("ours.safetensors", "w.pth", "back.safetensors", "again.safetensors"))
    run(engine, "convert", "--new", "voxelmorph-1", "-o", ours)
    tool("safetensors_to_pth.py", ours, pth, "--buffers", "voxelmorph", "--size", "16x32x48")
    grid = torch.load(pth, weights_only=True)["transformer.grid"]
    check(grid.shape == (1, 3, 16, 32, 48) and grid.dtype == torch.float32 and grid[0, :, 3, 7, 11].tolist() == [3, 7, 11],
          "voxelmorph: transformer.grid holds each voxel's coordinates")
    tool("pth_to_safetensors.py", pth, back)
    run(engine, "convert", back, "--model", "voxelmorph-1", "-o", again)
    check(read_raw(again)[1] == read_raw(ours)[1], "voxelmorph: the buffer is left out again")

    window = (2, 3, 4)
    table = {"transformer.layers.0.blocks.0.attn.relative_position_bias_table": torch.zeros(3 * 5 * 7, 4)}
    torch.save(table, folder / "swin.pth")
    tool("pth_to_safetensors.py", folder / "swin.pth", folder / "swin.safetensors")
    tool("safetensors_to_pth.py", folder / "swin.safetensors", folder / "swin_full.pth", "--buffers", "transmorph", "--size", "32x32x32",
         "--window", ",".join(map(str, window)))
    index = torch.load(folder / "swin_full.pth", weights_only=True)["transformer.layers.0.blocks.0.attn.relative_position_index"]
    tokens = [(a, b, c) for a in range(2) for b in range(3) for c in range(4)]
    expected = [[((p[0] - q[0] + 1) * 5 + (p[1] - q[1] + 2)) * 7 + (p[2] - q[2] + 3) for q in tokens] for p in tokens]
    check(index.dtype == torch.int64 and index.tolist() == expected, "transmorph: relative_position_index as in models.md 4.3")


def check_refusals(folder):
    torch.save({"state_dict": {"a": torch.zeros(1)}, "extra": fractions.Fraction(1, 2)}, folder / "strange.pth")
    torch.save({"a": 1}, folder / "numbers.pth")
    (folder / "text.pth").write_text("no weights")
    for name, expected in (("strange.pth", "refused: "), ("numbers.pth", "no state dict found"), ("text.pth", "refused: ")):
        done = subprocess.run([sys.executable, ROOT / "tools/pth_to_safetensors.py", folder / name, folder / "never"], capture_output=True, text=True)
        lines = done.stderr.strip().splitlines()
        check(done.returncode == 1 and len(lines) == 1 and expected in lines[0] and not (folder / "never").exists(), f"refused in one line: {name}")


def refused(engine, code, expected, *arguments):
    done = subprocess.run([str(part) for part in (engine, "convert", *arguments)], capture_output=True, text=True)
    check(done.returncode == code and expected in done.stderr and len(done.stderr.strip().splitlines()) == 1, f"refused: {expected}")


def metadata_of(path):
    content = path.read_bytes()
    return json.loads(content[8:8 + struct.unpack("<Q", content[:8])[0]])["__metadata__"]


def check_commands(engine, folder):
    """What `regatta convert` does to files, over a checkpoint and an LKU-Net block made here."""
    checkpoint, out, again = folder / "checkpoint.safetensors", folder / "out.safetensors", folder / "again.safetensors"
    kernels = {f"ec3.layer_{part}Kernel.0.{kind}": torch.full((1, 1, k, k, k) if kind == "weight" else (1,), value)
               for part, k, value in (("regular", 3, 1.0), ("large", 5, 2.0), ("one", 1, 4.0)) for kind in ("weight", "bias")}
    recipe = {"model": {"name": "lkunet", "options": {}}}
    safetensors_io.write(checkpoint, {**kernels, "optim/step": torch.zeros(1), "train/loss_sums": torch.zeros(2, dtype=torch.float64)},
                         {"format": "regatta checkpoint 1", "recipe": json.dumps(recipe), "counters": "{}"})
    check("parameters: 156 in 6 tensors (without 2 of training state" in run(engine, "convert", "--list", checkpoint), "listing of a checkpoint")
    refused(engine, 2, "--weights-only makes weights of it", checkpoint, "--half", "-o", out)
    run(engine, "convert", checkpoint, "--weights-only", "--fold", "--half", "--rename", "ec3.=net1.ec3.", "-o", out)
    raw, metadata = read_raw(out)[0], metadata_of(out)
    check({name: entry[:2] for name, entry in raw.items()} == {"net1.ec3.folded.weight": ("F16", [1, 1, 5, 5, 5]), "net1.ec3.folded.bias": ("F16", [1])},
          "training state left out, renamed, folded, halved")
    weight = torch.frombuffer(bytearray(raw["net1.ec3.folded.weight"][2]), dtype=torch.float16).reshape(5, 5, 5)
    check((weight[0, 0, 0], weight[1, 2, 2], weight[2, 2, 2]) == (2, 3, 8), "the folded kernel is the sum with the identity")
    check(metadata["format"] == "regatta weights 1" and json.loads(metadata["recipe"])["model"]["options"] == {"folded": True} and
          len(json.loads(metadata["converted"])[0]["done"]) == 4, "metadata: format, recipe with the option folded, history")
    before = out.read_bytes()
    refused(engine, 3, "is there already; --force replaces it", out, "--float", "-o", out)
    check(out.read_bytes() == before and len(list(folder.iterdir())) == 2, "a file that is there stays as it is, nothing is left beside it")
    run(engine, "convert", out, "--float", "--drop", "net1.ec3.folded.b", "--force", "-o", out)
    check([entry[:2] for entry in read_raw(out)[0].values()] == [("F32", [1, 1, 5, 5, 5])], "--force, --float, --drop")
    refused(engine, 2, "no tensor's name starts with 'nothing'", out, "--drop", "nothing", "-o", again)
    refused(engine, 2, "no large-kernel blocks", out, "--fold", "-o", again)
    refused(engine, 3, "'net1.ec3.folded.weight' is not a parameter of this network", out, "--model", "voxelmorph-1", "-o", again)
    refused(engine, 2, "give an input file or --new MODEL", "-o", again)
    check(not again.exists(), "nothing is written by what is refused")


def check_real_file(engine, folder):
    path = pathlib.Path(os.environ.get("REGATTA_TEST_DATA", ROOT.parent / "shared/data")) / LKUNET[0]
    if not path.exists():
        print(f"SKIPPED: check_weights: {LKUNET[0]}")
        return
    converted, ours, pth = folder / "l.safetensors", folder / "o.safetensors", folder / "l.pth"
    tool("pth_to_safetensors.py", path, converted)
    run(engine, "convert", converted, "-o", ours)
    listing = run(engine, "convert", "--list", ours)
    check(f"{LKUNET[1]} tensors, {LKUNET[2]} values" in listing, f"{LKUNET[0]}: {LKUNET[1]} tensors, {LKUNET[2]} values")
    tool("safetensors_to_pth.py", ours, pth)
    original, round_trip = (torch.load(file, map_location="cpu", weights_only=True) for file in (path, pth))
    check(list(original) == list(round_trip) and all(original[key].equal(round_trip[key]) for key in original), f"{LKUNET[0]}: and back, equal")
    run(engine, "convert", converted, "--fold", "-o", folder / "folded.safetensors")
    folded, parts = read_raw(folder / "folded.safetensors")[0], {key: value.double() for key, value in original.items()}
    block = {kind: [parts[f"ec3.layer_{part}Kernel.0.{kind}"] for part in ("regular", "large", "one")] for kind in ("weight", "bias")}
    three, five, one = block["weight"]
    expected = five.clone()
    expected[:, :, 1:4, 1:4, 1:4] += three
    expected[:, :, 2, 2, 2] += one[:, :, 0, 0, 0] + torch.eye(five.shape[0])
    found = torch.frombuffer(bytearray(folded["ec3.folded.weight"][2]), dtype=torch.float32).reshape(expected.shape)
    check((found - expected).abs().max() < 1e-6 and len(folded) == LKUNET[1] - 4 * sum(key.endswith("layer_oneKernel.0.bias") for key in original),
          f"{LKUNET[0]}: folded kernels are the sums")


def main():
    engine = pathlib.Path(sys.argv[1]) / "regatta-engine"
    models = json.loads(run(engine, "describe", "--models"))["models"]
    wanted = sys.argv[2:] or [model["name"] for model in models]
    for model in models:
        if model["name"] in wanted:
            with tempfile.TemporaryDirectory(prefix="regatta-weights-") as folder:
                check_network(engine, model["name"], model["parameters"], pathlib.Path(folder))
    with tempfile.TemporaryDirectory(prefix="regatta-weights-") as folder:
        check_buffers(engine, pathlib.Path(folder))
    with tempfile.TemporaryDirectory(prefix="regatta-weights-") as folder:
        check_commands(engine, pathlib.Path(folder))
    with tempfile.TemporaryDirectory(prefix="regatta-weights-") as folder:
        check_refusals(pathlib.Path(folder))
        check_real_file(engine, pathlib.Path(folder))


if __name__ == "__main__":
    main()
