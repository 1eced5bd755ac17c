"""Where the time of a session went, and how far its networks are from what the machine can do.

    msmorph BIDS OUT participant ... --work-dir WORK --nprocs 2 --omp-nthreads 2
    python benchmarks/session_profile.py WORK [--threads 2]

The work folder tells how long each step took. Every step with a network is run once more with its
inputs under PyTorch's FLOP counter; its floor is those operations at the rate of a large matrix
product, measured here with as many threads. Then the time to read and to write the images that
went through the workflow's steps. Trust only a work folder of your own: Nipype keeps pickles.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

NETWORKS = ("deepgrai", "opfer", "lesions", "cord", "enhancement")
SHOWN_S = 0.3


def results(work: Path) -> dict:
    """Nipype's result of every step by the folder's name (of one session)."""
    from nipype.utils.filemanip import loadpkl

    return {path.parent.name: loadpkl(path) for path in sorted(work.glob("**/result_*.pklz"))}


def matmul_rate(size: int = 4096) -> float:
    """Floating point operations a second of a product of two float32 matrices, best of five."""
    a, b = torch.rand(size, size), torch.rand(size, size)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times)


def run_again(result) -> tuple[float, float]:
    """Seconds and floating point operations of a step, run alone with the inputs it had."""
    given = {k: v for k, v in result.inputs.items() if v not in (None, "")}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        result.interface(**given).run(cwd=folder)
        seconds = time.perf_counter() - start
        with FlopCounterMode(display=False) as counter:
            result.interface(**given).run(cwd=folder)
    return seconds, float(counter.get_total_flops())


def image_seconds(work: Path) -> tuple[int, float, float]:
    """Number of images in a work folder, and seconds to read and to write them all."""
    paths = [p for p in work.glob("**/*.nii*") if not p.is_symlink()]
    reading = writing = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            start = time.perf_counter()
            image = nib.load(path)
            data = np.asarray(image.dataobj)
            reading += time.perf_counter() - start
            target = Path(folder) / path.name
            start = time.perf_counter()
            nib.Nifti1Image(data, image.affine, image.header).to_filename(target)
            writing += time.perf_counter() - start
            target.unlink()
    return len(paths), reading, writing


def main() -> None:
    """Print the steps by duration, the networks against their floor, and the images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    found = results(args.work)
    seconds = {name: result.runtime.duration for name, result in found.items()}
    print(f"steps: {len(seconds)}, together {sum(seconds.values()):.1f} s")
    for name in sorted(seconds, key=seconds.get, reverse=True):
        if seconds[name] >= SHOWN_S:
            print(f"  {name:24} {seconds[name]:6.1f} s")
    rate = matmul_rate()
    print(f"matrix product, float32, {args.threads} threads: {rate / 1e9:.0f} GFLOP/s")
    for name in NETWORKS:
        if name in found:
            alone, flops = run_again(found[name])
            floor = f"{flops / 1e9:8.0f} GFLOP, floor {flops / rate:6.2f} s"
            print(
                f"  {name:24} {floor}, in the session {seconds[name]:6.2f} s, alone {alone:6.2f} s"
            )
    count, reading, writing = image_seconds(args.work)
    print(f"images: {count}, all read in {reading:.1f} s and written in {writing:.1f} s")


if __name__ == "__main__":
    main()
