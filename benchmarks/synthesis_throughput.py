"""How many training samples a second the synthesis makes.

    python benchmarks/synthesis_throughput.py HEAD_LABELS... [--device cpu] [--threads 1]

Every network's samples, from the label maps given, one after the other on one device.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from training import sources
from training.networks import NETWORKS
from training.sampling import Sampler


def throughput(name: str, paths: list[Path], device: str, count: int) -> tuple[float, tuple]:
    """Samples a second of a network, and the shape of one."""
    plan = NETWORKS[name](None, None)
    heads = [sources.label_source(path, plan.crop_mm) for path in paths]
    sampler = Sampler(heads, plan.recipe, seed=1, length=count + 1, device=device)
    image, _ = sampler[count]  # warm-up: the label maps go to the device
    began = time.perf_counter()
    for index in range(count):
        image, _ = sampler[index]
    if device != "cpu":
        torch.cuda.synchronize()
    return count / (time.perf_counter() - began), tuple(image.shape[1:])


def main() -> None:
    """Print a line a network."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("head_labels", type=Path, nargs="+")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print("network\tshape\tdevice\tthreads\tsamples_per_s")
    for name in NETWORKS:
        rate, shape = throughput(name, args.head_labels, args.device, args.samples)
        print(f"{name}\t{'x'.join(map(str, shape))}\t{args.device}\t{args.threads}\t{rate:.2f}")


if __name__ == "__main__":
    main()
