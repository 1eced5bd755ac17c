"""Compare DeepGRAI's masks in a derivatives folder with reference labels drawn on the T1w.

    python benchmarks/thalamus_flair.py BIDS OUT LABELS [--second-labels LABELS]
        [--transforms DERIVATIVES] [--participant-label ...]

The T1w labels are carried into FLAIR space as the mean over each FLAIR voxel of the label
(partial volume), thresholded at one half: with 3-4 mm slices, one sample a voxel would make the
reference depend on where the slice centres happen to lie.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from measures import agreement
from networks.geometry import sample_volume
from training.sources import THALAMUS_LABELS, read_itk_affine


def carry_label(labels: nib.Nifti1Image, numbers, grid: nib.Nifti1Image, grid_to_labels):
    """Fraction (float32, grid's shape) of every voxel of ``grid`` that carries the labels."""
    mask = torch.from_numpy(np.isin(np.asarray(labels.dataobj), numbers).astype(np.float32))
    matrix = np.linalg.inv(labels.affine) @ grid_to_labels @ grid.affine
    steps = np.maximum(1, np.round(np.asarray(grid.header.get_zooms()[:3]) / 0.75)).astype(int)
    axes = [
        torch.arange(n * s, dtype=torch.float32) / s - 0.5 + 0.5 / s
        for n, s in zip(grid.shape, steps, strict=True)
    ]
    turn = torch.as_tensor(matrix, dtype=torch.float32)
    planes = []
    for z in axes[2].split(int(steps[2])):  # one slice of the grid at a time
        index = torch.stack(torch.meshgrid(axes[0], axes[1], z, indexing="ij"), -1)
        values = sample_volume(mask, index @ turn[:3, :3].T + turn[:3, 3])
        pooled = torch.nn.functional.avg_pool3d(values[None, None], tuple(int(s) for s in steps))
        planes.append(pooled[0, 0])
    return torch.cat(planes, dim=2).numpy()


def find_transform(transforms: Path | None, folder: Path, prefix: str) -> np.ndarray:
    """World-to-world matrix from FLAIR to T1w; the identity when images share their space."""
    found = []
    if transforms is not None:
        found = sorted((transforms / folder).glob(f"{prefix}_from-T1w_to-FLAIR_*.txt"))
    return read_itk_affine(found[0]) if found else np.eye(4)


def compare(args) -> None:
    """Print a line for every session that has a mask and a reference."""
    print(
        "session\tml\treference_ml\tdifference_%\tdice\ttpr\tassd_mm\thausdorff_mm\tref2_ml\tref_vs_ref2_dice\tdice_ref2"
    )
    rows = []
    for path in sorted(args.out.glob("sub-*/**/anat/*_space-FLAIR_seg-deepgrai_dseg.nii.gz")):
        folder = path.parent.relative_to(args.out)
        prefix = path.name.removesuffix("_space-FLAIR_seg-deepgrai_dseg.nii.gz")
        if args.participant_label and folder.parts[0][4:] not in args.participant_label:
            continue
        mask = nib.load(path)
        transform = find_transform(args.transforms, folder, prefix)
        found = np.asarray(mask.dataobj) > 0
        ml = float(abs(np.linalg.det(mask.affine[:3, :3])) / 1000)

        def reference(root, numbers, folder=folder, prefix=prefix, mask=mask, transform=transform):
            files = sorted((root / folder).glob(f"{prefix}_space-T1w_*dseg.nii.gz")) if root else []
            if not files:
                return None
            return carry_label(nib.load(files[0]), numbers, mask, transform) >= 0.5

        first = reference(args.labels, THALAMUS_LABELS)
        if first is None:
            continue
        second = reference(args.second_labels, (7,))
        distances = agreement.surface_distances_mm(found, first, mask.header.get_zooms()[:3])
        row = [
            found.sum() * ml, first.sum() * ml,
            agreement.volume_difference_percent(found.sum(), first.sum()),
            agreement.dice(found, first), agreement.true_positive_rate(found, first),
            distances.mean(), distances.max(),
        ]  # fmt: skip
        extra = [np.nan] * 3
        if second is not None:
            extra = [
                second.sum() * ml,
                agreement.dice(first, second),
                agreement.dice(found, second),
            ]
        print(prefix, *(f"{v:.3f}" for v in row + extra), sep="\t")
        rows.append(row)
    if rows:
        rows = np.array(rows)
        print(f"mean Dice {rows[:, 3].mean():.3f}, mean absolute volume difference "
              f"{np.abs(rows[:, 2]).mean():.1f}% over {len(rows)} sessions")  # fmt: skip


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bids", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--second-labels", type=Path)
    parser.add_argument("--transforms", type=Path)
    parser.add_argument("--participant-label", nargs="*", default=[])
    compare(parser.parse_args())


if __name__ == "__main__":
    main()
