"""How well the affine transforms to MNI152 of finished sessions fit, and how they bear hard cases.

    python benchmarks/mni_alignment.py BIDS OUT

For each session of OUT with a transform: overlap of the brain masks and correlation ratio at 2 mm,
of the transform written, and of new ones for the raw image under a strong bias field and for the
head turned and moved; with the mean distance (mm) of brain points to where the first puts them.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

from interfaces import registration as reg
from interfaces.images import save_nifti

JUDGED_MM = 2.0
TURNS_DEG = {"pitched 35": (35, 0, 0), "turned 30": (0, 0, 30)}
SHIFT_MM = (10.0, -20.0, 30.0)


def strong_field(shape) -> np.ndarray:
    """A smooth field that changes about threefold over a brain."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    return np.exp(0.6 * x - 0.5 * y * z + 0.4 * np.sin(2 * y)).astype(np.float32)


def distance(head: reg.Head, a, b) -> float:
    """Mean distance (mm) between where two matrices put the points of a brain."""
    points = np.argwhere(head.mask)[::37] @ head.affine[:3, :3].T + head.affine[:3, 3]
    apply = nib.affines.apply_affine
    return float(np.linalg.norm(apply(a, points) - apply(b, points), axis=1).mean())


def align(template: reg.Head, image, mask) -> np.ndarray:
    """The transform that the interface would find."""
    head = reg.Head(image, mask, reg.AFFINE_MM, masked=True).even()
    return reg.register_affine(template, head, seed=1)[0]


def hard_cases(template: reg.Head, raw: Path, mask: Path, folder: Path):
    """(name, transform of the head where it was) for each hard case."""
    image = nib.load(raw)
    data, brain = np.asarray(image.dataobj, np.float32), np.asarray(nib.load(mask).dataobj)
    biased = save_nifti(data * strong_field(data.shape), image.affine, folder / "image.nii.gz")
    yield "strong bias", align(template, biased, mask)
    for name, turn in TURNS_DEG.items():
        moved = reg.about((0, 0, 0), turn, SHIFT_MM)
        files = [
            save_nifti(array, moved @ image.affine, folder / f"{kind}.nii.gz")
            for kind, array in (("image", data), ("mask", brain))
        ]
        yield name, np.linalg.inv(moved) @ align(template, *files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bids", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    judge = reg.Head(reg.mni_template(), None, JUDGED_MM, masked=True)
    template = reg.Head(reg.mni_template(), None, reg.AFFINE_MM, masked=True).even()
    print("image\tcase\toverlap\tcorrelation\tmoved_mm")
    for path in sorted(given.out.glob("sub-*/**/anat/*_to-MNI152NLin2009aSym_mode-image_xfm.txt")):
        start, contrast = re.match(r"(.*)_from-(\w+?)_to-", path.name).groups()
        image = path.with_name(f"{start}_desc-preproc_{contrast}.nii.gz")
        mask = path.with_name(f"{start}_space-{contrast}_desc-brain_mask.nii.gz")
        raw = given.bids / path.parent.relative_to(given.out) / f"{start}_{contrast}.nii.gz"
        head = reg.Head(image, mask, JUDGED_MM, masked=True)
        written = reg.read_itk(path)
        with tempfile.TemporaryDirectory() as folder:
            cases = [("written", written), *hard_cases(template, raw, mask, Path(folder))]
        for case, matrix in cases:
            correlation, overlap = reg.quality(judge, head, matrix)
            moved = distance(judge, matrix, written)
            print(f"{raw.name}\t{case}\t{overlap:.4f}\t{correlation:.4f}\t{moved:.2f}", flush=True)


if __name__ == "__main__":
    main()
