#!/usr/bin/env python3
"""Forward passes without gradients of VxmDense_2 or TransMorph in PyTorch on the CPU: the other side of
tools/bench/cpu_inference.sh. The networks are written from their description (docs/models.md names the papers), with the
parameter names of the reference code, so that the weights that `regatta bench networks --save-weights` writes load strictly.

  torch_inference.py NETWORK --size 160x192x224 --threads 2 [--weights FILE] [--flow FILE] [-o FILE]

NETWORK is voxelmorph-2 or transmorph. The pair is the made-up one of `regatta bench`; --flow compares the field with the
one that it wrote.
"""
import argparse
import itertools
import json
import math
import pathlib
import re
import statistics
import struct
import time

import torch
from torch import nn
from torch.nn import functional


def read_safetensors(path):
    """{name: float32 tensor}; our own reader, since the package is not part of the environment."""
    data = bytearray(pathlib.Path(path).read_bytes())
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise SystemExit(f"{path}: tensor {name} is {entry['dtype']}, expected F32")
        begin, end = entry["data_offsets"]
        count = (end - begin) // 4
        flat = torch.frombuffer(data, dtype=torch.float32, count=count, offset=8 + length + begin)
        tensors[name] = flat.reshape(entry["shape"]).clone()
    return tensors


class SpatialTransformer(nn.Module):
    """moving(p + flow(p)) by grid_sample; flow in voxels, components D, H, W."""

    def __init__(self, size):
        super().__init__()
        axes = [torch.arange(edge, dtype=torch.float32) for edge in size]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij")).unsqueeze(0)
        self.register_buffer("grid", grid, persistent=False)

    def forward(self, volume, flow):
        points = self.grid + flow
        scaled = [2.0 * (points[:, axis] / (flow.shape[axis + 2] - 1) - 0.5) for axis in range(3)]
        return functional.grid_sample(volume, torch.stack(scaled[::-1], dim=-1), align_corners=True)


class ConvBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.main = nn.Conv3d(inputs, outputs, 3, stride, 1)

    def forward(self, x):
        return functional.leaky_relu(self.main(x), 0.2)


class VxmUnet(nn.Module):
    def __init__(self, encoder, decoder):
        super().__init__()
        down = [2, *encoder]
        self.downarm = nn.ModuleList(ConvBlock(a, b, 2) for a, b in itertools.pairwise(down))
        skips = [0, *reversed(encoder[:-1])]
        before = [encoder[-1], *decoder[:3]]
        self.uparm = nn.ModuleList(ConvBlock(b + s, o, 1) for b, s, o in zip(before, skips, decoder[:4]))
        extras = [decoder[3] + 2, *decoder[4:]]
        self.extras = nn.ModuleList(ConvBlock(a, b, 1) for a, b in itertools.pairwise(extras))

    def forward(self, x):
        kept = [x]
        for block in self.downarm:
            kept.append(block(kept[-1]))
        x = kept.pop()
        for block in self.uparm:
            x = functional.interpolate(block(x), scale_factor=2, mode="nearest")
            x = torch.cat([x, kept.pop()], dim=1)
        for block in self.extras:
            x = block(x)
        return x


class VxmDense2(nn.Module):
    def __init__(self, size):
        super().__init__()
        decoder = [32, 32, 32, 32, 32, 16, 16]
        self.unet_model = VxmUnet([16, 32, 32, 32], decoder)
        self.flow = nn.Conv3d(decoder[-1], 3, 3, padding=1)
        self.transformer = SpatialTransformer(size)

    def forward(self, moving, fixed):
        flow = self.flow(self.unet_model(torch.cat([moving, fixed], dim=1)))
        return self.transformer(moving, flow), flow


def windows_of(x, window):
    """[B, D, H, W, C] -> [B windows, tokens, C]"""
    b, d, h, w, c = x.shape
    x = x.view(b, d // window[0], window[0], h // window[1], window[1], w // window[2], window[2], c)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, math.prod(window), c)


def grid_of(windows, window, shape):
    b, d, h, w, c = shape
    x = windows.view(b, d // window[0], h // window[1], w // window[2], *window, c)
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(b, d, h, w, c)


class Attention(nn.Module):
    def __init__(self, channels, window, heads):
        super().__init__()
        self.heads = heads
        self.scale = (channels // heads) ** -0.5
        rows = math.prod(2 * edge - 1 for edge in window)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, heads))
        points = torch.stack(torch.meshgrid(*[torch.arange(edge) for edge in window], indexing="ij")).flatten(1)
        apart = points[:, :, None] - points[:, None, :]
        index = torch.zeros_like(apart[0])
        for axis, edge in enumerate(window):
            index = index * (2 * edge - 1) + apart[axis] + edge - 1
        self.register_buffer("relative_position_index", index, persistent=False)
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x, mask):
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        logits = (q * self.scale) @ k.transpose(-2, -1)
        bias = self.relative_position_bias_table[self.relative_position_index.view(-1)]
        logits = logits + bias.view(n, n, self.heads).permute(2, 0, 1).contiguous().unsqueeze(0)
        if mask is not None:
            count = mask.shape[0]
            logits = logits.view(b // count, count, self.heads, n, n) + mask.unsqueeze(1).unsqueeze(0)
            logits = logits.view(-1, self.heads, n, n)
        x = (logits.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c)
        return self.proj(x)


class Mlp(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x):
        return self.fc2(functional.gelu(self.fc1(x)))


class SwinBlock(nn.Module):
    """Inference only: DropPath does nothing there."""

    def __init__(self, channels, window, heads, shift):
        super().__init__()
        self.window = window
        self.shift = shift
        self.norm1 = nn.LayerNorm(channels)
        self.attn = Attention(channels, window, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels)

    def forward(self, x, grid, mask):
        b, tokens, c = x.shape
        d, h, w = grid
        y = self.norm1(x).view(b, d, h, w, c)
        far = [-edge % step for edge, step in zip(grid, self.window)]
        y = functional.pad(y, (0, 0, 0, far[2], 0, far[1], 0, far[0]))
        padded = y.shape
        shifted = min(self.shift) > 0
        if shifted:
            y = torch.roll(y, [-s for s in self.shift], (1, 2, 3))
        y = self.attn(windows_of(y, self.window), mask if shifted else None)
        y = grid_of(y, self.window, padded)
        if shifted:
            y = torch.roll(y, list(self.shift), (1, 2, 3))
        x = x + y[:, :d, :h, :w].reshape(b, tokens, c)
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.reduction = nn.Linear(8 * channels, 2 * channels, bias=False)
        self.norm = nn.LayerNorm(8 * channels)

    def forward(self, x, grid):
        b, _, c = x.shape
        x = x.view(b, *grid, c)
        x = functional.pad(x, (0, 0, 0, grid[2] % 2, 0, grid[1] % 2, 0, grid[0] % 2))
        order = ["000", "100", "010", "001", "110", "011", "101", "111"]
        parts = [x[:, int(o[0]) :: 2, int(o[1]) :: 2, int(o[2]) :: 2] for o in order]
        return self.reduction(self.norm(torch.cat(parts, -1).view(b, -1, 8 * c)))


class Stage(nn.Module):
    def __init__(self, channels, depth, heads, window, last):
        super().__init__()
        self.window = window
        self.shift = tuple(edge // 2 for edge in window)
        shifts = [(0, 0, 0) if block % 2 == 0 else self.shift for block in range(depth)]
        self.blocks = nn.ModuleList(SwinBlock(channels, window, heads, shift) for shift in shifts)
        self.downsample = None if last else PatchMerging(channels)

    def mask(self, grid):
        sizes = [math.ceil(edge / step) * step for edge, step in zip(grid, self.window)]
        regions = torch.zeros(1, *sizes, 1)
        cuts = [
            (slice(0, -step), slice(-step, -shift), slice(-shift, None))
            for step, shift in zip(self.window, self.shift)
        ]
        for number, (d, h, w) in enumerate(itertools.product(*cuts)):
            regions[:, d, h, w, :] = number
        ids = windows_of(regions, self.window).squeeze(-1)
        return torch.where(ids.unsqueeze(1) == ids.unsqueeze(2), 0.0, -100.0)

    def forward(self, x, grid):
        mask = self.mask(grid)
        for block in self.blocks:
            x = block(x, grid, mask)
        if self.downsample is None:
            return x, x
        return x, self.downsample(x, grid)


class PatchEmbed(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.proj = nn.Conv3d(2, channels, 4, 4)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x):
        x = self.proj(x)
        return self.norm(x.flatten(2).transpose(1, 2)), tuple(x.shape[2:])


class Swin(nn.Module):
    def __init__(self, channels, depths, heads, window):
        super().__init__()
        self.patch_embed = PatchEmbed(channels)
        last = len(depths) - 1
        self.layers = nn.ModuleList(
            Stage(channels << i, depths[i], heads[i], window, i == last) for i in range(len(depths))
        )
        for i in range(len(depths)):
            self.add_module(f"norm{i}", nn.LayerNorm(channels << i))

    def forward(self, x):
        x, grid = self.patch_embed(x)
        maps = []
        for i, stage in enumerate(self.layers):
            out, x = stage(x, grid)
            out = getattr(self, f"norm{i}")(out)
            maps.append(out.view(out.shape[0], *grid, -1).permute(0, 4, 1, 2, 3).contiguous())
            grid = tuple((edge + 1) // 2 for edge in grid)
        return maps


def conv_norm(inputs, outputs):
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 3, padding=1, bias=False), nn.InstanceNorm3d(outputs), nn.LeakyReLU(inplace=True)
    )


class UpBlock(nn.Module):
    def __init__(self, inputs, skip, outputs):
        super().__init__()
        self.conv1 = conv_norm(inputs + skip, outputs)
        self.conv2 = conv_norm(outputs, outputs)

    def forward(self, x, skip):
        x = functional.interpolate(x, scale_factor=2, mode="trilinear", align_corners=False)
        return self.conv2(self.conv1(torch.cat([x, skip], dim=1)))


class TransMorph(nn.Module):
    def __init__(self, size):
        super().__init__()
        e = 96
        window = tuple(edge // 32 for edge in size)
        self.transformer = Swin(e, (2, 2, 4, 2), (4, 4, 8, 8), window)
        self.up0 = UpBlock(8 * e, 4 * e, 4 * e)
        self.up1 = UpBlock(4 * e, 2 * e, 2 * e)
        self.up2 = UpBlock(2 * e, e, e)
        self.up3 = UpBlock(e, e // 2, e // 2)
        self.up4 = UpBlock(e // 2, 16, 16)
        self.c1 = conv_norm(2, e // 2)
        self.c2 = conv_norm(2, 16)
        self.reg_head = nn.Sequential(nn.Conv3d(16, 3, 3, padding=1))
        self.spatial_trans = SpatialTransformer(size)

    def forward(self, moving, fixed):
        images = torch.cat([moving, fixed], dim=1)
        half = self.c1(functional.avg_pool3d(images, 3, 2, 1))
        full = self.c2(images)
        maps = self.transformer(images)
        x = self.up0(maps[3], maps[2])
        x = self.up1(x, maps[1])
        x = self.up2(x, maps[0])
        x = self.up3(x, half)
        x = self.up4(x, full)
        flow = self.reg_head(x)
        return self.spatial_trans(moving, flow), flow


NETWORKS = {"voxelmorph-2": VxmDense2, "transmorph": TransMorph}


def wave(size, phase):
    """The made-up volume of `regatta bench`."""
    d, h, w = [torch.arange(edge, dtype=torch.float32) for edge in size]
    value = (d.view(-1, 1, 1) + h.view(1, -1, 1) * 2 + w.view(1, 1, -1) * 3) * 0.05 + phase
    return value.sin_().mul_(0.5).add_(0.5).view(1, 1, *size)


def memory_bytes(name):
    text = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=sorted(NETWORKS))
    parser.add_argument("--size", default="160x192x224")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--weights")
    parser.add_argument("--flow")
    parser.add_argument("-o", "--output")
    options = parser.parse_args()
    size = tuple(int(edge) for edge in options.size.split("x"))
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = NETWORKS[options.network](size).eval()
    if options.weights:
        network.load_state_dict(read_safetensors(options.weights), strict=True)
    moving, fixed = wave(size, 0.0), wave(size, 1.0)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # proc(5): the peak is reset
    before = memory_bytes("VmRSS")
    times = []
    with torch.no_grad():
        for number in range(options.warmup + options.steps):
            flow = None
            start = time.perf_counter()
            flow = network(moving, fixed)[1]
            if number >= options.warmup:
                times.append(1e3 * (time.perf_counter() - start))
    row = {
        "network": options.network,
        "torch": torch.__version__,
        "threads": options.threads,
        "parameters": sum(value.numel() for value in network.parameters()),
        "inference_ms": {"median": statistics.median(times), "min": min(times), "max": max(times)},
        "host_bytes_before": before,
        "host_bytes_peak": memory_bytes("VmHWM"),
        "largest_displacement": flow.abs().max().item(),
    }
    if options.flow:
        theirs = read_safetensors(options.flow)["flow"]
        row["largest_difference"] = (flow - theirs).abs().max().item()
        row["relative_difference"] = ((flow - theirs).norm() / flow.norm()).item()
    text = json.dumps(row, indent=2) + "\n"
    if options.output:
        pathlib.Path(options.output).write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
