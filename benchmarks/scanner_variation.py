"""One head through many simulated scanners: how much the thalamus volume varies.

    python benchmarks/scanner_variation.py simulate BIDS_OUT --t1w FILE --flair FILE
    msmorph BIDS_OUT OUT participant && msmorph BIDS_OUT OUT group
    python benchmarks/scanner_variation.py summarise OUT/group_morph.tsv

After Opfer 2022, whose one healthy person travelled to 123 real scanners: sub-* is a scanner,
ses-* a repeat on it without repositioning (noise differs only). A scanner has a position of the
head, voxel size (T1w 0.9-1.3 mm, FLAIR 0.9 mm with slices of 1-6 mm), field strength (noise),
bias field and contrast curve. The residuals are the paper's: of every repeat from its
scanner's mean (intra), of the scanner means from their mean (inter).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from measures.repeatability import repeatability

T1W_VOXEL_MM = (0.9, 1.3)
FLAIR_SLICE_MM = (1.0, 6.0)
NOISE = {1.5: 0.04, 3.0: 0.02}  # SD relative to the 99th percentile of the head


def rigid_about(centre_mm: np.ndarray, rng) -> np.ndarray:
    """World-to-world 4x4: up to 8 degrees about each axis and 10 mm along it."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", rng.uniform(-8, 8, 3), degrees=True).as_matrix()
    matrix[:3, 3] = centre_mm + rng.uniform(-10, 10, 3) - matrix[:3, :3] @ centre_mm
    return matrix


def acquire(image: nib.Nifti1Image, voxel_mm, position: np.ndarray) -> nib.Nifti1Image:
    """The head at another position on a grid of another voxel size, averaged over every voxel."""
    data, affine = image.get_fdata(dtype=np.float32), image.affine
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in data.shape])).reshape(3, -1)
    world = (position @ affine)[:3, :3] @ corners + (position @ affine)[:3, 3:]
    low, high = world.min(1), world.max(1)
    voxel_mm = np.asarray(voxel_mm, float)
    shape = np.ceil((high - low) / voxel_mm).astype(int)
    grid = np.diag([*voxel_mm, 1.0])
    grid[:3, 3] = low + voxel_mm / 2
    zooms = np.linalg.norm(affine[:3, :3], axis=0)
    steps = np.maximum(1, np.round(voxel_mm / zooms)).astype(int)
    total = np.zeros(shape, np.float32)
    for offset in np.ndindex(*steps):
        shift = ((np.array(offset) + 0.5) / steps - 0.5) * voxel_mm
        fine = grid.copy()
        fine[:3, 3] += shift
        matrix = np.linalg.inv(position @ affine) @ fine
        total += ndimage.affine_transform(
            data, matrix[:3, :3], matrix[:3, 3], tuple(shape), order=1, output=np.float32
        )
    return nib.Nifti1Image(total / np.prod(steps), grid)


def bias_field(shape, strength: float, rng) -> np.ndarray:
    """Smooth multiplicative field of mean about 1."""
    coarse = rng.uniform(-1, 1, (3, 3, 3))
    grown = ndimage.zoom(coarse, np.array(shape) / 3, order=2, mode="nearest", grid_mode=True)
    return 1 + strength * grown.astype(np.float32)


def scan(image: nib.Nifti1Image, scanner: dict, rng) -> nib.Nifti1Image:
    """Contrast curve, bias field and Rician noise of a scanner on an acquired image.

    What is zero stays zero: a removed skull is removed after the scan, with its noise.
    """
    data = np.clip(image.get_fdata(dtype=np.float32), 0, None)
    top = np.percentile(data[data > 0], 99)
    signal = top * (data / top) ** scanner["gamma"] * scanner["bias"]
    noise = NOISE[scanner["tesla"]] * scanner["noise"] * top
    real = signal + noise * rng.standard_normal(signal.shape, dtype=np.float32)
    magnitude = np.hypot(real, noise * rng.standard_normal(signal.shape, dtype=np.float32))
    scaled = np.rint(np.where(data > 0, magnitude, 0) * 1000 / top).astype(np.int16)
    return nib.Nifti1Image(scaled, image.affine)


def draw_scanner(rng) -> dict:
    """Settings of a scanner other than its grid and position."""
    return {
        "tesla": float(rng.choice([1.5, 3.0])),
        "noise": rng.uniform(0.7, 1.3),
        "gamma": np.exp(rng.uniform(-0.25, 0.25)),
        "bias_strength": rng.uniform(0.05, 0.25),
    }


def simulate(args) -> None:
    """Write the dataset: a subject a scanner, a session a repeat."""
    heads = {"T1w": nib.load(args.t1w), "FLAIR": nib.load(args.flair)}
    args.bids.mkdir(parents=True)
    description = {"Name": "simulated scanners", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (args.bids / "dataset_description.json").write_text(json.dumps(description))
    (args.bids / "README").write_text("One head through simulated scanners; see MSMorph.\n")
    for number, rng in enumerate(np.random.default_rng(args.seed).spawn(args.scanners), start=1):
        repeats = args.repeats if number <= args.repeated_scanners else 1
        for suffix, head in heads.items():
            scanner = draw_scanner(rng)
            centre = head.affine[:3, :3] @ (np.array(head.shape) / 2) + head.affine[:3, 3]
            edge = rng.uniform(*T1W_VOXEL_MM)
            voxel_mm = (edge,) * 3 if suffix == "T1w" else (0.9, 0.9, rng.uniform(*FLAIR_SLICE_MM))
            still = acquire(head, voxel_mm, rigid_about(centre, rng))
            scanner["bias"] = bias_field(still.shape, scanner["bias_strength"], rng)
            for repeat in range(1, repeats + 1):
                stem = f"sub-{number:02d}_ses-{repeat:02d}"
                folder = args.bids / f"sub-{number:02d}" / f"ses-{repeat:02d}" / "anat"
                folder.mkdir(parents=True, exist_ok=True)
                scan(still, scanner, rng).to_filename(folder / f"{stem}_{suffix}.nii.gz")
                sidecar = {"MagneticFieldStrength": scanner["tesla"]}
                (folder / f"{stem}_{suffix}.json").write_text(json.dumps(sidecar))
        print(f"scanner {number} of {args.scanners}", flush=True)


def residual_sd(rows: list[dict], column: str) -> dict:
    """Number of scans and scanners, mean, and SD (mL) within and between scanners; n/a counted."""
    by_scanner: dict[str, list[float]] = {}
    missing = 0
    for row in rows:
        if row[column] == "n/a":
            missing += 1
        else:
            by_scanner.setdefault(row["participant_id"], []).append(float(row[column]))
    means = np.array([np.mean(v) for v in by_scanner.values()])
    within = repeatability(by_scanner.values())
    intra = within.within_subject_sd if within else np.nan
    return {
        "scans": len(rows) - missing, "missing": missing, "scanners": len(means),
        "mean_ml": means.mean(), "sd_inter_ml": means.std(ddof=1), "sd_intra_ml": intra,
    }  # fmt: skip


def summarise(args) -> None:
    """Print a line for every thalamus column of a group table."""
    from bids_app.tables import read_tsv

    columns, rows = read_tsv(args.table)
    wanted = [c for c in columns if c.startswith("thalamus_") and c.endswith("_ml")]
    wanted += [c for c in ("tiv_ml",) if c in columns]
    print("column\tscans\tmissing\tscanners\tmean_ml\tsd_inter_ml\tsd_intra_ml")
    for column in wanted:
        if any(row[column] != "n/a" for row in rows):
            figures = residual_sd(rows, column)
            print(column, *(f"{v:.3f}" if isinstance(v, float) else v for v in figures.values()),
                  sep="\t")  # fmt: skip


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    make = commands.add_parser("simulate")
    make.add_argument("bids", type=Path)
    make.add_argument("--t1w", type=Path, required=True)
    make.add_argument("--flair", type=Path, required=True)
    make.add_argument("--scanners", type=int, default=30)
    make.add_argument("--repeats", type=int, default=3)
    make.add_argument("--repeated-scanners", type=int, default=5, help="scanners with repeats")
    make.add_argument("--seed", type=int, default=1)
    make.set_defaults(run=simulate)
    table = commands.add_parser("summarise")
    table.add_argument("table", type=Path)
    table.set_defaults(run=summarise)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
