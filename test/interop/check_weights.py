#!/usr/bin/env python3
"""Checks the way of weights out of this program into PyTorch and back.

usage: check_weights.py BIN_DIR [NETWORK...]      Python with torch; skips by name without it

Against the lists of test/golden/state_dict_keys, which have every key, shape and type of the original programs' state
dicts: fresh weights written by `regatta convert new`, turned into a .pth by tools/safetensors_to_pth.py --buffers, have
just these and load into such a module with load_state_dict(strict=True), with the values that stand in the file; that
state dict, back through tools/pth_to_safetensors.py and `regatta convert edit --model`, gives the bytes of the beginning.
Networks of more than 20 million parameters are not written: their buffers are made from names and shapes alone, which
test/unit/nn/state_dict_keys_test.cpp compares with the networks. Networks without a list go the same way against
themselves. The real LKU-Net file is checked where it is ($REGATTA_TEST_DATA, else shared/data beside the checkout).
"""
import collections
import concurrent.futures
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
import pth_to_safetensors  # noqa: E402
import safetensors_io  # noqa: E402
import safetensors_to_pth  # noqa: E402
LISTS = ROOT / "test/golden/state_dict_keys"
SIZE = "64x96x128"  # of the lists
LARGE = 20_000_000  # parameters
TYPES = {"float32": torch.float32, "int64": torch.int64}
SWIN = {"embed_dim": 12, "window": [2, 3, 4]}
# Networks without a list, and small ones of a family whose lists are too large to be written.
OTHERS = {"voxelmorph-custom": {}, "unet": {}, "fourier-net-plus": {"channels": 8}, "lkunet-affine": {"channels": 2, "size": [32, 32, 32]},
          "transmorph-affine": {"embed_dim": 12, "size": [64, 96, 128]}, "transmorph": {**SWIN, "position": "sinusoidal"},
          "transmorph-diff": {**SWIN, "reference": True}, "transmorph-bspl": {**SWIN, "reference": False}}
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


def read_list(name):
    """Key -> (shape, type) of the original's state dict."""
    lines = (LISTS / f"{name}.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return {key: ([int(size) for size in shape.split("x")], TYPES[kind]) for key, shape, kind in rows}


def is_buffer(key):
    return key.endswith((".grid", "relative_position_index"))


def module_of(keys):
    """A module with the parameters and buffers of a list."""
    top = torch.nn.Module()
    for key, (shape, kind) in keys.items():
        *path, last = key.split(".")
        module = top
        for part in path:
            if part not in dict(module.named_children()):
                module.add_module(part, torch.nn.Module())
            module = dict(module.named_children())[part]
        value = torch.full(shape, -7, dtype=kind)
        if is_buffer(key):
            module.register_buffer(last, value)
        else:
            module.register_parameter(last, torch.nn.Parameter(value))
    return top


def layout_of(tensors):
    return {key: (list(tensor.shape), tensor.dtype) for key, tensor in tensors.items()}


def check_network(engine, model, options, listed, name, parameters):
    """Out and back. listed: the original's keys, or None."""
    with tempfile.TemporaryDirectory(prefix="regatta-weights-") as temporary:
        folder = pathlib.Path(temporary)
        ours, pth, back, again = (folder / file for file in ("ours.safetensors", "w.pth", "back.safetensors", "again.safetensors"))
        network = ("--model-options", json.dumps(options))
        run(engine, "convert", "new", model, *network, "--seed", 5, "-o", ours)
        safetensors_to_pth.main([str(part) for part in (ours, pth, "--wrap", "state_dict", "--buffers", "--size", SIZE)])
        tensors = torch.load(pth, weights_only=True)["state_dict"]
        raw, data = read_raw(ours)
        keys = [key for key in tensors if not is_buffer(key)]
        check(keys == list(raw) and all(values_equal(tensors[key], raw[key][2]) for key in keys), f"{name}: {len(raw)} names in order, and values")
        if listed:
            check(layout_of(tensors) == listed, f"{name}: the {len(listed)} keys, shapes and types of the original")
            original = module_of(listed)
            original.load_state_dict(tensors, strict=True)
            torch.save(original.state_dict(), pth)
        if not options:
            check(sum(tensors[key].numel() for key in keys) == parameters, f"{name}: {parameters} parameters")
        pth_to_safetensors.main([pth, back])
        form = safetensors_to_pth.AS_PUBLISHED.get(model)
        network = network if not form or form in options else ("--model-options", json.dumps({**options, form: False}))
        run(engine, "convert", "edit", back, "--model", model, *network, "-o", again)
        check(read_raw(again)[1] == data, f"{name}: back through .pth, {len(data)} bytes equal")


def check_large(model, options, listed, name):
    """The buffers of a network that is not written."""
    tensors = collections.OrderedDict((key, torch.empty(shape, dtype=kind, device="meta")) for key, (shape, kind) in listed.items() if not is_buffer(key))
    safetensors_to_pth.add_buffers(tensors, model, options, [int(size) for size in SIZE.split("x")], name)
    check(layout_of(tensors) == listed, f"{name}: buffers by names and shapes, {len(listed)} keys as the original's")


def check_networks(engine, wanted):
    models = {model["name"]: model for model in json.loads(run(engine, "describe", "--models"))["models"]}
    rows = [(row["model"], row["options"], read_list(name), name) for name, row in json.loads((LISTS / "networks.json").read_text()).items()]
    rows += [(model, options, None, f"{model}, no list") for model, options in OTHERS.items()]
    listed = {row[0] for row in rows}
    check(listed == set(models), f"{len(rows)} networks and forms, every one of {len(models)} among them")
    jobs = []
    for model, options, keys, name in rows:
        if wanted and model not in wanted:
            continue
        if keys and sum(torch.Size(shape).numel() for key, (shape, _) in keys.items() if not is_buffer(key)) > LARGE:
            check_large(model, {**models[model]["options"], **options}, keys, name)
        else:
            jobs.append((engine, model, options, keys, name, models[model]["parameters"]))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:  # most of the time is the engine's start
        for done in [pool.submit(check_network, *job) for job in jobs]:
            done.result()


def check_buffers(engine, folder):
    """The values of what safetensors_to_pth.py adds, and what it refuses."""
    ours, pth = folder / "ours.safetensors", folder / "w.pth"
    run(engine, "convert", "new", "voxelmorph", "-o", ours)
    tool("safetensors_to_pth.py", ours, pth, "--buffers", "--size", "16x32x48")
    tensors = torch.load(pth, weights_only=True)
    for key, shape in (("transformer.grid", (16, 32, 48)), ("integrate.transformer.grid", (8, 16, 24))):
        grid = tensors[key]
        check(grid.shape == (1, 3, *shape) and grid.dtype == torch.float32 and grid[0, :, 3, 7, 11].tolist() == [3, 7, 11],
              f"voxelmorph: {key} holds each voxel's coordinates")
    window = (2, 3, 4)
    run(engine, "convert", "new", "transmorph-bspl", "--model-options", json.dumps(SWIN), "--force", "-o", ours)
    shown = tool("safetensors_to_pth.py", ours, folder / "bspl.pth", "--buffers")
    check("buffers" in shown, "transmorph-bspl: buffers that no size is needed for")
    tensors = torch.load(folder / "bspl.pth", weights_only=True)
    index = tensors["transformer.layers.0.blocks.0.attn.relative_position_index"]
    tokens = [(a, b, c) for a in range(window[0]) for b in range(window[1]) for c in range(window[2])]
    expected = [[((p[0] - q[0] + 1) * 5 + (p[1] - q[1] + 2)) * 7 + (p[2] - q[2] + 3) for q in tokens] for p in tokens]
    check(index.dtype == torch.int64 and index.tolist() == expected, "transmorph: relative_position_index as in models.md 4.3")
    torch.save(tensors, folder / "back.pth")
    tool("pth_to_safetensors.py", folder / "back.pth", folder / "back.safetensors")
    for arguments, expected in (((ours, folder / "no", "--buffers", "--size", "64"), "three whole numbers"),
                                ((folder / "back.safetensors", folder / "no", "--buffers"), "does not name its network")):
        done = subprocess.run([sys.executable, ROOT / "tools/safetensors_to_pth.py", *arguments], capture_output=True, text=True)
        check(done.returncode != 0 and expected in done.stderr and not (folder / "no").exists(), f"refused: {expected}")
    done = subprocess.run([sys.executable, ROOT / "tools/safetensors_to_pth.py", ours, folder / "no"], capture_output=True, text=True)
    check(done.returncode == 0 and "trained with reference false" in done.stderr and "--buffers" in done.stdout, "warned: not as published, without buffers")


def former_names(tensors):
    """VFA's names as they were in versions before its authors' were known."""
    layers = {"conv1": "0", "norm1": "1", "conv2": "3", "norm2": "4", "conv": "1", "norm": "2"}
    return {".".join(layers.get(part, part) for part in key.split(".")): tensor for key, tensor in tensors.items()}


def check_former_vfa(engine, folder):
    """Files with VFA's former names are read, said, and written under today's."""
    ours, old, new = folder / "ours.safetensors", folder / "old.safetensors", folder / "new.safetensors"
    run(engine, "convert", "new", "vfa", "-o", ours)
    tensors, metadata = safetensors_io.read(ours)
    safetensors_io.write(old, former_names(tensors), {key: value for key, value in metadata.items() if not key.startswith("xxh3")})
    check(sum(".0.weight" in key for key in safetensors_io.read(old)[0]) > 8, "vfa: a file with former names")
    done = subprocess.run([sys.executable, ROOT / "tools/safetensors_to_pth.py", old, folder / "no"], capture_output=True, text=True)
    check(done.returncode == 1 and "names of an earlier version" in done.stderr, "vfa: former names do not go to PyTorch")
    done = subprocess.run([engine, "convert", "edit", old, "-o", new], capture_output=True, text=True)
    check(done.returncode == 0 and "88 tensors have names of an earlier version" in done.stderr, "vfa: former names are read, and it is said")
    check(read_raw(new)[0] == read_raw(ours)[0], "vfa: and written under today's names, values equal")


def check_refusals(folder):
    torch.save({"state_dict": {"a": torch.zeros(1)}, "extra": fractions.Fraction(1, 2)}, folder / "strange.pth")
    torch.save({"a": 1}, folder / "numbers.pth")
    (folder / "text.pth").write_text("no weights")
    for name, expected in (("strange.pth", "refused: "), ("numbers.pth", "no state dict found"), ("text.pth", "refused: ")):
        done = subprocess.run([sys.executable, ROOT / "tools/pth_to_safetensors.py", folder / name, folder / "never"], capture_output=True, text=True)
        lines = done.stderr.strip().splitlines()
        check(done.returncode == 1 and len(lines) == 1 and expected in lines[0] and not (folder / "never").exists(), f"refused in one line: {name}")


def refused(engine, code, expected, *arguments):
    """Returns the lines of the message."""
    done = subprocess.run([str(part) for part in (engine, "convert", "edit", *arguments)], capture_output=True, text=True)
    check(done.returncode == code and expected in done.stderr, f"refused: {expected}" if expected in done.stderr else f"{expected}: got {done.stderr}")
    return done.stderr.strip().splitlines()


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
    check("parameters: 156 in 6 tensors (without 2 of training state" in run(engine, "convert", "list", checkpoint), "listing of a checkpoint")
    refused(engine, 2, "--weights-only makes weights of it", checkpoint, "--half", "-o", out)
    run(engine, "convert", "edit", checkpoint, "--weights-only", "--fold", "--half", "--rename", "ec3.=net1.ec3.", "-o", out)
    raw, metadata = read_raw(out)[0], metadata_of(out)
    check({name: entry[:2] for name, entry in raw.items()} == {"net1.ec3.folded.weight": ("F16", [1, 1, 5, 5, 5]), "net1.ec3.folded.bias": ("F16", [1])},
          "training state left out, renamed, folded, halved")
    weight = torch.frombuffer(bytearray(raw["net1.ec3.folded.weight"][2]), dtype=torch.float16).reshape(5, 5, 5)
    check((weight[0, 0, 0], weight[1, 2, 2], weight[2, 2, 2]) == (2, 3, 8), "the folded kernel is the sum with the identity")
    check(metadata["format"] == "regatta weights 1" and json.loads(metadata["recipe"])["model"]["options"] == {"folded": True} and
          len(json.loads(metadata["converted"])[0]["done"]) == 4, "metadata: format, recipe with the option folded, history")
    before = out.read_bytes()
    refused(engine, 3, "already exists; use --force to replace it", out, "--float", "-o", out)
    check(out.read_bytes() == before and len(list(folder.iterdir())) == 2, "a file that is there stays as it is, nothing is left beside it")
    run(engine, "convert", "edit", out, "--float", "--drop", "net1.ec3.folded.b", "--force", "-o", out)
    check([entry[:2] for entry in read_raw(out)[0].values()] == [("F32", [1, 1, 5, 5, 5])], "--force, --float, --drop")
    refused(engine, 2, "no tensor's name starts with 'nothing'", out, "--drop", "nothing", "-o", again)
    refused(engine, 2, "no large-kernel blocks", out, "--fold", "-o", again)
    refused(engine, 3, "'net1.ec3.folded.weight' is not a parameter of this network", out, "--model", "voxelmorph-1", "-o", again)
    refused(engine, 2, "input is required", "-o", again)
    check(not again.exists(), "nothing is written by what is refused")


def check_foreign(engine, folder):
    """Another program's file: asked for what it does not tell, made ready for `register` from a data set file alone."""
    ours, theirs, pth, out = (folder / file for file in ("ours.safetensors", "theirs.safetensors", "theirs.pth", "out.safetensors"))
    run(engine, "convert", "new", "voxelmorph-diff", "-o", ours)
    tensors, _ = safetensors_io.read(ours)
    safetensors_io.write(theirs, tensors, {})
    lines = refused(engine, 2, "--as-published for their authors' program", theirs, "--model", "voxelmorph-diff", "-o", out)
    check(len(lines) == 1 and '"reference": false' in lines[0] and not out.exists(), "asked which of two forms is meant")
    for flags, value in ((("--as-published",), True), (("--model-options", '{"reference": false}'), False)):
        run(engine, "convert", "edit", theirs, "--model", "voxelmorph-diff", *flags, "--force", "-o", out)
        model = json.loads(metadata_of(out)["recipe"])["model"]
        check(model["options"]["reference"] is value, f"the file says it: reference {value}")
        check(("computes as published" in metadata_of(out)["converted"]) is value, "its history too")
    run(engine, "convert", "edit", theirs, "--model", "voxelmorph-diff", "--as-published", "--force", "-o", out)
    run(engine, "convert", "edit", out, "--model", "voxelmorph-diff", "-o", folder / "kept.safetensors")
    check(json.loads(metadata_of(folder / "kept.safetensors")["recipe"])["model"]["options"]["reference"], "a file that says it is not asked again")
    refused(engine, 2, "--as-published beside", theirs, "--model", "voxelmorph-diff", "--as-published", "--model-options", '{"reference": false}', "-o", folder / "no")

    torch.save(tensors, pth)
    lines = refused(engine, 3, "python3 tools/pth_to_safetensors.py theirs.pth", pth, "-o", folder / "no")
    check(len(lines) == 1, "a .pth names the tool that reads it")
    safetensors_io.write(folder / "module.safetensors", {f"module.{key}": value for key, value in tensors.items()}, {})
    lines = refused(engine, 3, "--rename module.=", folder / "module.safetensors", "--model", "voxelmorph-diff", "--as-published", "-o", folder / "no")
    check(len(lines) == 2 + 2 * len(tensors) and max(map(len, lines)) < 300, f"what does not fit is a list of {len(lines)} lines, with what would help")

    prepared = folder / "dataset.json"
    preprocess = {"orientation": "LIA", "spacing_mm": [1, 1, 1], "shape": [160, 192, 224], "intensity": {"kind": "none"}, "type": "float32"}
    prepared.write_text(json.dumps({"preprocess": preprocess}))
    ready = folder / "ready.safetensors"
    run(engine, "convert", "edit", theirs, "--model", "voxelmorph-diff", "--as-published", "--preprocess", prepared, "-o", ready)
    found = {key: json.loads(metadata_of(ready)[key]) for key in ("shape", "spacing", "preprocessing")}
    check(found["shape"] == [160, 192, 224] and found["spacing"] == [1, 1, 1] and found["preprocessing"]["orientation"] == "LIA",
          "preprocessing stated without an archive")
    prepared.write_text(json.dumps({"preprocess": {**preprocess, "shape": [160, 190, 224]}}))
    refused(engine, 2, "takes multiples of 16", theirs, "--model", "voxelmorph-diff", "--as-published", "--preprocess", prepared, "-o", folder / "no")
    prepared.write_text(json.dumps({"preprocess": {"orientation": "LIA"}}))
    refused(engine, 2, "/preprocess/shape: empty", theirs, "--model", "voxelmorph-diff", "--as-published", "--preprocess", prepared, "-o", folder / "no")
    check(not (folder / "no").exists(), "nothing is written by what is refused")


def check_real_file(engine, folder):
    path = pathlib.Path(os.environ.get("REGATTA_TEST_DATA", ROOT.parent / "shared/data")) / LKUNET[0]
    if not path.exists():
        print(f"SKIPPED: check_weights: {LKUNET[0]}")
        return
    converted, ours, pth = folder / "l.safetensors", folder / "o.safetensors", folder / "l.pth"
    tool("pth_to_safetensors.py", path, converted)
    run(engine, "convert", "edit", converted, "-o", ours)
    listing = run(engine, "convert", "list", ours)
    check(f"{LKUNET[1]} tensors, {LKUNET[2]} values" in listing, f"{LKUNET[0]}: {LKUNET[1]} tensors, {LKUNET[2]} values")
    tool("safetensors_to_pth.py", ours, pth)
    original, round_trip = (torch.load(file, map_location="cpu", weights_only=True) for file in (path, pth))
    check(list(original) == list(round_trip) and all(original[key].equal(round_trip[key]) for key in original), f"{LKUNET[0]}: and back, equal")
    run(engine, "convert", "edit", converted, "--fold", "-o", folder / "folded.safetensors")
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
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    engine = pathlib.Path(sys.argv[1]) / "regatta-engine"
    check_networks(engine, sys.argv[2:])
    for part in (check_buffers, check_former_vfa, check_commands, check_foreign, lambda _, folder: check_refusals(folder), check_real_file):
        with tempfile.TemporaryDirectory(prefix="regatta-weights-") as folder:
            part(engine, pathlib.Path(folder))


if __name__ == "__main__":
    main()
