"""Reliability diagram of lesion probabilities against drawn masks.

    python benchmarks/lesion_calibration.py PROBSEG MASK [PROBSEG MASK ...] [--picture FILE]

Pairs share their grid. Prints a row a bin (mean probability, share of voxels that are lesion,
voxels) for every pair, and the expected calibration error of voxels with a probability above 0.05.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np

from measures.calibration import reliability


def read_pairs(paths: list[Path]):
    """(name, probability, mask) of every pair; SystemExit for a path too few or another grid."""
    if len(paths) % 2:
        raise SystemExit("Give pairs of PROBSEG and MASK.")
    for probseg, mask in zip(paths[::2], paths[1::2], strict=True):
        images = nib.load(probseg), nib.load(mask)
        if images[0].shape != images[1].shape:
            raise SystemExit(f"{probseg} and {mask} do not share their grid.")
        arrays = [np.asarray(image.dataobj, np.float32) for image in images]
        yield probseg.name.split("_space-")[0], np.clip(arrays[0], 0, 1), arrays[1] > 0


def draw(found: dict, path: Path) -> None:
    """Write the diagram (PNG or SVG) of reliabilities by name."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
    axis.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    for name, one in found.items():
        label = f"{name}, error {one.expected_error:.3f}"
        axis.plot(one.mean_probability, one.observed, marker="o", label=label)
    axis.set(xlabel="predicted probability", ylabel="share of voxels that are lesion")
    axis.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(argv: list[str] | None = None) -> int:
    """Print the tables; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", type=Path, nargs="+", metavar="PROBSEG MASK")
    parser.add_argument("--picture", type=Path, help="PNG or SVG to write")
    options = parser.parse_args(argv)
    found = {}
    print("subject\tprobability\tobserved\tvoxels")
    for name, probability, mask in read_pairs(options.paths):
        found[name] = reliability(probability, mask)
        one = found[name]
        for row in zip(one.mean_probability, one.observed, one.count, strict=True):
            print("{}\t{:.3f}\t{:.3f}\t{}".format(name, *row))
        print(f"{name}\texpected calibration error\t{one.expected_error:.3f}")
    if options.picture:
        draw(found, options.picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
