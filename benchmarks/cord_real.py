"""Compare the cords, centrelines and cord lesions of a derivatives folder with drawn masks.

    python benchmarks/cord_real.py OUT LABELS [--desc manual]

LABELS has ``*_label-SC_*mask`` and, at times, ``*_label-lesion_*mask`` on the grid of each image,
as OUT has. The error of the centreline is that of Gros 2019, section 2.4.1: the mean square of its
distance, in the slices, to the middle of the drawn cord.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np

from measures.agreement import dice
from measures.centreline import localisation_rate, mean_square_error_mm2, reference_centreline
from measures.lesion_agreement import DetectionRule, detect_lesions

FOUND = "_label-SC_desc-deepseg_"


def read(path: Path):
    """An image's values (X, Y, Z) in RAS order, its voxel edges (mm) and its affine."""
    image = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj), np.asarray(image.header.get_zooms()[:3], float), image.affine


def drawn(labels: Path, prefix: str, label: str, desc: str):
    """A drawn mask (X, Y, Z) of an image, or None."""
    files = sorted(labels.glob(f"sub-*/**/anat/{prefix}*_label-{label}_*mask.nii.gz"))
    chosen = [f for f in files if f"_desc-{desc}_" in f.name] or files
    return read(chosen[0])[0] > 0 if chosen else None


def compare(path: Path, labels: Path, desc: str) -> dict | None:
    """Figures of one image's cord, None where none is drawn."""
    prefix = path.name.split("_space-")[0]
    cord = drawn(labels, prefix, "SC", desc)
    if cord is None:
        return None
    mask, voxel_mm, affine = read(path)
    soft = read(path.with_name(path.name.replace("_mask.", "_probseg.")))[0]
    folder = path.parent
    points = np.loadtxt(
        next(folder.glob(f"{prefix}_*centerline*.csv")), delimiter=",", skiprows=1, ndmin=2
    )
    line = nib.affines.apply_affine(np.linalg.inv(affine), points)
    middle = reference_centreline(cord, voxel_mm)
    figures = {
        "image": prefix,
        "dice": dice(mask > 0, cord),
        "volume_difference_%": 100 * (np.count_nonzero(mask) / np.count_nonzero(cord) - 1),
        "soft_volume_difference_%": 100 * (float(soft.sum()) / np.count_nonzero(cord) - 1),
        "centreline_mse_mm2": mean_square_error_mm2(line, middle, voxel_mm),
        "centreline_inside_%": 100 * localisation_rate(line, cord),
    }
    lesions = drawn(labels, prefix, "lesion", desc)
    found = list(folder.glob(f"{prefix}_*_label-L_*mask.nii.gz"))
    if lesions is not None and found:
        rates = detect_lesions(
            read(found[0])[0] > 0, lesions & cord, float(voxel_mm.prod()), DetectionRule(min_mm3=0)
        ).rates()
        figures |= {
            "lesions_drawn": rates.ref_count, "lesions_found": rates.pred_count,
            "sensitivity": rates.sensitivity, "precision": rates.predictive_value,
        }  # fmt: skip
    return figures


def main() -> None:
    """Print a line for every measured image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--desc", default="manual", help="desc- of the masks, if there are several")
    args = parser.parse_args()
    for path in sorted(args.out.glob(f"sub-*/**/anat/*{FOUND}mask.nii.gz")):
        figures = compare(path, args.labels, args.desc)
        if figures:
            print("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in
                            figures.items()), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
