"""What the cord networks learn from: phantoms of PAM50, and real cords that were drawn."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from measures.centreline import reference_centreline
from networks.geometry import antialias, image_axes, sample_volume
from training.acquisition import Protocol
from training.cord_phantom import Phantom, draw_phantom, scan
from training.cord_template import VOXEL_MM, CordTemplate
from training.deformation import integrate, random_affine, smooth_noise, transform
from training.randomness import one_of, uniform
from training.sampling import positions
from training.sources import Volume

#: Contrasts of the phantoms, and how often; None is any contrast.
CONTRASTS = (("T2w", 0.35), ("T2starw", 0.25), ("T1w", 0.2), (None, 0.2))
#: Those that show lesions of the cord (Gros 2019, table 1: its lesions were drawn on these two).
LESION_CONTRASTS = (("T2w", 0.6), ("T2starw", 0.4))
# A real image has its own noise and slices: it is only disturbed a little more.
AS_IT_IS = Protocol(in_plane_mm=(0.5, 0.5), thick=0.0, noise=(0.0, 0.03), artefacts=0.1)


@dataclass
class CordSource:
    """PAM50's template, or a real image with its cord and, where drawn, its lesions."""

    name: str
    template: CordTemplate | None = None
    image: Volume | None = None
    cord: Volume | None = None
    lesions: Volume | None = None
    axes: np.ndarray | None = None
    line_mm: np.ndarray | None = None  # (n, 3) world mm of the drawn cord's centre

    @property
    def is_real(self) -> bool:
        """Whether it is an image, and no template to draw phantoms from."""
        return self.image is not None


def find_drawn_cords(bids_dir: Path, derivatives: Path, subjects) -> list[CordSource]:
    """Every T1w, T2w and T2starw of ``subjects`` whose cord is drawn in ``derivatives``.

    Masks are ``*_label-SC_*mask`` and ``*_label-lesion_*mask`` (or ``label-L``) on the image's own
    grid; raises ValueError for another grid. Images without a drawn cord are left out.
    """
    found = []
    for subject in subjects:
        for path in sorted(Path(bids_dir).glob(f"sub-{subject}/**/anat/*.nii.gz")):
            prefix, suffix = path.name.removesuffix(".nii.gz").rsplit("_", 1)
            folder = Path(derivatives) / path.parent.relative_to(bids_dir)
            cords = _masks(folder, prefix, "SC")
            if suffix in ("T1w", "T2w", "T2starw") and cords:
                lesions = [*_masks(folder, prefix, "lesion"), *_masks(folder, prefix, "L"), None]
                found.append(_drawn_cord(path, cords[0], lesions[0]))
    return found


def _masks(folder: Path, prefix: str, label: str) -> list[Path]:
    """Masks of a label in an image's own space: no other entity than space and desc is added."""
    name = re.compile(
        rf"{re.escape(prefix)}(_space-\w+?)?_label-{label}(_desc-\w+?)?_mask\.nii\.gz"
    )
    return sorted(f for f in folder.glob("*_mask.nii.gz") if name.fullmatch(f.name))


def _drawn_cord(path: Path, cord: Path, lesions: Path | None) -> CordSource:
    image = nib.as_closest_canonical(nib.load(path))
    zooms = np.asarray(image.header.get_zooms()[:3], float)
    inverse = np.linalg.inv(image.affine)

    def mask(file: Path) -> np.ndarray:
        drawn = nib.as_closest_canonical(nib.load(file))
        same = drawn.shape == image.shape and np.allclose(drawn.affine, image.affine, atol=1e-3)
        if not same:
            raise ValueError(f"{file} is not on the grid of {path}")
        return (np.asarray(drawn.dataobj) > 0).astype(np.float32)

    shown = mask(cord)
    line = reference_centreline(shown > 0, zooms)
    if not len(line):
        raise ValueError(f"{cord} is empty")
    data = antialias(image.get_fdata(dtype=np.float32), zooms, np.full(3, VOXEL_MM))
    return CordSource(
        path.name.removesuffix(".nii.gz"), None, Volume(data, inverse), Volume(shown, inverse),
        Volume(mask(lesions), inverse) if lesions else None, image_axes(image.affine),
        line @ image.affine[:3, :3].T + image.affine[:3, 3],
    )  # fmt: skip


def draw_scene(source: CordSource, shape, generator, contrasts=CONTRASTS) -> Phantom:
    """A scanned cord of ``shape`` voxels of 0.5 mm: a phantom, or a real image moved and bent.

    ``contrasts`` are those of the phantoms and how often each is drawn, as in CONTRASTS. A real
    scene's levels and areas are unknown (empty).
    """
    if source.is_real:
        return _real_scene(source, shape, generator)
    contrast = one_of(contrasts, generator)
    return draw_phantom(source.template, tuple(shape), contrast, generator)


def _real_scene(source: CordSource, shape, generator) -> Phantom:
    device = generator.device
    lattice = [n // 4 + 1 for n in shape]
    half_mm = [(n - 1) / 2 * VOXEL_MM for n in shape]
    axes = [torch.linspace(-h, h, n, device=device) for h, n in zip(half_mm, lattice, strict=True)]
    local = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    pose = random_affine(generator, rotation_deg=20, scaling=0.15, shear=0.05)
    velocity = smooth_noise(lattice, 5, generator, channels=3) * uniform(generator, 0, 1.5)
    spacing = [2 * h / (n - 1) for h, n in zip(half_mm, lattice, strict=True)]
    local = transform(pose, local) + integrate(velocity, spacing)
    turn = torch.as_tensor(source.axes, dtype=torch.float32, device=device)
    middle = source.line_mm[int(uniform(generator, 0, len(source.line_mm)))]
    aside = torch.tensor([uniform(generator, -8, 8) for _ in range(3)], device=device)
    centre = torch.as_tensor(middle, dtype=torch.float32, device=device) + turn @ aside
    points = transform(turn, local) + centre[:, None, None, None]

    def read(volume):
        return sample_volume(*positions(volume, points, shape))

    cord = read(source.cord)
    lesion = read(source.lesions) > 0.5 if source.lesions else torch.zeros_like(cord, dtype=bool)
    line = reference_centreline((cord > 0.5).cpu().numpy(), np.full(3, VOXEL_MM))
    nothing = torch.zeros(0, device=device)
    image = scan(read(source.image).clamp(min=0), AS_IT_IS, generator)
    line = torch.as_tensor(line, dtype=torch.float32, device=device)
    return Phantom(image, cord.clamp(0, 1), lesion, line, nothing, nothing)
