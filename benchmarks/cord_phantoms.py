"""Measure cords of known area, and healthy ones, through the whole cord branch.

    python benchmarks/cord_phantoms.py PAM50 [--count 20] [--model-dir DIR]
        [--healthy | --still | --lesions]

Draws T2w phantoms of seeds that training never uses, cords of 40-110 mm2 tilted by up to 30
degrees, as axial slices of 1 mm pixels and 3 mm thickness, and prints for each the mean area over
its sections against the truth. Nearly half of them have CSF that flows, at times as dark as the
cord all around; not so with ``--still``. With ``--healthy``: cords without lesion on T2w and
T2starw, and the lesions found. With ``--lesions``: cords with lesions on the same two, how many of
those of 10 mm3 or more were found, and how many found are none.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
from nipype.interfaces.base import isdefined
from torch.nn.functional import avg_pool3d

from interfaces.cord import CordSegmentation
from measures.lesion_agreement import DetectionRule, detect_lesions
from training.acquisition import Protocol
from training.cord_phantom import Phantom, draw_anatomy, scan
from training.cord_shape import CordVariety
from training.cord_sources import LESION_CONTRASTS
from training.cord_template import read_template
from training.randomness import seeded

SHAPE = (160, 160, 192)  # voxels of 0.5 mm
MERGED = (2, 2, 6)  # to 1 mm pixels and slices of 3 mm
VOXEL_MM3 = float(np.prod(MERGED)) * 0.5**3
#: Lesions of 10 mm3 or more count; one is found where any voxel of it is, by a lesion of any size.
LEAST_MM3 = 10.0
ANY_VOXEL = DetectionRule(alpha_percent=0, beta_percent=100, min_mm3=0)
SEED = 77_000_000
AS_DRAWN = Protocol(in_plane_mm=(0.5, 0.5), thick=0.0, noise=(0.0, 0.03), artefacts=0.0)


def scanned(template, number: int, contrast: str, lesions: float, still: bool = False):
    """A phantom, its image (X, Y, Z) of 1 x 1 x 3 mm and that image's affine."""
    generator = seeded(SEED, number)
    variety = CordVariety(area_mm2=(40, 110), level=(2, 8), csf=(0.6, 1.7), compressed=0.0,
                          lesions=lesions,
                          flow=0.0 if still else 0.45)  # fmt: skip
    phantom = draw_anatomy(template, SHAPE, contrast, generator, variety)
    image = scan(phantom.image, AS_DRAWN, generator)
    affine = np.diag([*(0.5 * n for n in MERGED), 1.0])
    affine[:3, 3] = [0.25 * (n - 1) for n in MERGED]
    return replace(phantom, image=image), avg_pool3d(image[None, None], MERGED)[0, 0], affine


def found_in(image, affine, contrast: str, model_dir: Path | None):
    """Outputs of the cord interface for an image of a contrast, and the lesion mask or None."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"phantom_{contrast}.nii.gz"
        nib.Nifti1Image(image.numpy(), affine).to_filename(path)
        options = {"model_dir": str(model_dir)} if model_dir else {}
        outputs = CordSegmentation(in_file=str(path), **options).run(cwd=folder).outputs
        if not isdefined(outputs.out_lesions):
            return outputs, None
        return outputs, np.asarray(nib.load(outputs.out_lesions).dataobj) > 0


def lesion_counts(phantom: Phantom, found) -> tuple[int, int, int, int]:
    """Lesions drawn and of them found, lesions found and of them right: any voxel in common."""
    drawn = avg_pool3d(phantom.lesion[None, None].float(), MERGED)[0, 0].numpy() >= 0.5
    found = np.zeros_like(drawn) if found is None else found
    seen = detect_lesions(found, drawn, VOXEL_MM3, ANY_VOXEL)
    drawn_found, found_right = (
        detected[volumes_mm3 >= LEAST_MM3]
        for volumes_mm3, detected in (
            (seen.ref_mm3, seen.ref_detected),
            (seen.pred_mm3, seen.pred_detected),
        )
    )
    return len(drawn_found), drawn_found.sum(), len(found_right), found_right.sum()


def area_error(phantom: Phantom, rows: list[dict]) -> tuple[float, float]:
    """Mean true area (mm2) over the sections that were measured, and the error of theirs (%)."""
    order = np.argsort(phantom.centreline[:, 2].numpy())
    z, area = phantom.centreline[order, 2].numpy() * 0.5, phantom.area_mm2[order].numpy()
    places = [(3.0 * row["slice"] + 1.25, row["area_mm2"]) for row in rows if row["area_mm2"]]
    # The outermost sections lie at the edge of the field of view.
    inside = [(place, mm2) for place, mm2 in places if z[0] + 3 < place < z[-1] - 3]
    truth = np.interp([place for place, _ in inside], z, area).mean()
    return float(truth), float(100 * (np.mean([mm2 for _, mm2 in inside]) / truth - 1))


def main() -> None:
    """Print a line for every phantom and a last one for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pam50", type=Path)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--model-dir", type=Path)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--healthy", action="store_true", help="count lesions where there are none")
    kind.add_argument("--lesions", action="store_true", help="count lesions found and missed")
    kind.add_argument("--still", action="store_true", help="CSF without flow")
    args = parser.parse_args()
    template = read_template(args.pam50)
    errors, clean, counts = [], 0, np.zeros(4, int)
    for number in range(args.count):
        both = args.healthy or args.lesions
        contrast = LESION_CONTRASTS[number % 2][0] if both else "T2w"
        share = 0.0 if args.healthy else 1.0 if args.lesions else 0.3
        phantom, image, affine = scanned(template, number, contrast, share, args.still)
        found, lesions = found_in(image, affine, contrast, args.model_dir)
        if args.lesions:
            counts += lesion_counts(phantom, lesions)
        elif args.healthy:
            clean += not found.lesion_rows
            print(f"{number}  {contrast}  {found.measures['qc_cord_flag']}  "
                  f"lesions {len(found.lesion_rows)}", flush=True)  # fmt: skip
        elif not found.rows:
            print(f"{number}  not measured: {found.measures['qc_cord_flag']}", flush=True)
        else:
            truth, error = area_error(phantom, found.rows)
            errors.append(error)
            print(f"{number}  area {truth:.1f} mm2  error {error:+.1f} %", flush=True)
    if args.lesions:
        print("drawn {}, of them found {}; found {}, of them right {}".format(*counts))
    elif args.healthy:
        print(f"without lesion: {clean} of {args.count}")
    else:
        sizes = np.abs(errors)
        print(f"measured {len(errors)} of {args.count}: mean {np.mean(errors):+.2f} %, absolute "
              f"{sizes.mean():.2f} %, within 3 %: {(sizes <= 3).sum()}")  # fmt: skip


if __name__ == "__main__":
    main()
