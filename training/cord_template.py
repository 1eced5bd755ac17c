"""The anatomy that cord phantoms are bent from: PAM50's label maps, read once.

De Leener 2018, doi:10.1016/j.neuroimage.2017.10.041. The template's cord runs straight along z, so
cord and canal are kept as radii about that axis, by which a phantom's own can be drawn with an area
that is known exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from scipy.ndimage import uniform_filter1d
from torch.nn.functional import avg_pool3d, grid_sample, max_pool3d

ANGLES = 96
VOXEL_MM = 0.5
GREY_REACH = 28  # voxels: half the width of the box of grey matter that is kept
SPINE_VOXEL_MM = 1.0


@dataclass(frozen=True)
class CordTemplate:
    """A straight cord and what surrounds it, by slice: 0.5 mm each, from caudal to cranial.

    ``cord_mm`` and ``canal_mm``: outer radius of the cord and of the CSF around it (S, 96), where
    angle k lies 2 pi k / 96 from the right towards the front. ``grey``: grey matter's share in
    voxels of 0.5 mm (57, 57, S). ``spine``: share of bone and of disc in voxels of 1 mm
    (2, X, Y, S / 2) with the cord's axis at ``spine_axis``. ``tops``: slice of the upper border of
    every vertebra, C1 first. ``last``: the slice where cord ends and brain stem begins.
    """

    cord_mm: torch.Tensor
    canal_mm: torch.Tensor
    grey: torch.Tensor
    spine: torch.Tensor
    spine_axis: tuple[float, float]
    tops: torch.Tensor
    last: int

    def slice_of_level(self, level: float) -> float:
        """The slice at a vertebral level: 2.0 is the top of C2, 2.5 its middle.

        Above C1 and below the last vertebra it goes on by the nearest vertebra's height.
        """
        count = len(self.tops)
        lower = min(max(math.floor(level), 1), count - 1)
        top, bottom = self.tops[lower - 1].item(), self.tops[lower].item()
        return top + (level - lower) * (bottom - top)

    def level_of_slice(self, places):
        """The vertebral level (fractional, see slice_of_level) at slices of any shape."""
        numbers = torch.bucketize(-places, -self.tops, right=True).clamp(1, len(self.tops) - 1)
        top, bottom = self.tops[numbers - 1], self.tops[numbers]
        return numbers + (places - top) / (bottom - top)


def read_template(folder: Path, device: str = "cpu") -> CordTemplate:
    """Read ``PAM50_{cord,csf,gm,spine,levels}.nii.gz`` (0.5 mm) of a folder.

    Raises FileNotFoundError for a file that is missing and ValueError for voxels that are not
    0.5 mm, for maps that do not share a grid and for fewer than two vertebral levels.
    """
    names = ("cord", "csf", "gm", "spine", "levels")
    cord, csf, grey, spine, levels = _read_maps([Path(folder) / f"PAM50_{n}.nii.gz" for n in names])
    middle = np.argwhere(cord).mean(0)[:2]
    if len(np.unique(levels.max((0, 1)))) < 3:
        raise ValueError(f"{folder}: PAM50_levels has fewer than two vertebral levels")
    of_slice = levels.max((0, 1))
    tops = [np.flatnonzero(of_slice == n).max() + 1.0 for n in np.unique(of_slice[of_slice > 0])]
    tops.append(float(np.flatnonzero(of_slice).min()))
    cord_mm, canal_mm = _radii_mm(cord, middle), _radii_mm(cord | csf, middle)
    filled = np.flatnonzero(csf.any((0, 1)))  # beyond them the canal goes on as it ends
    places = np.arange(len(canal_mm)).clip(filled.min(), filled.max())
    return CordTemplate(
        cord_mm=torch.from_numpy(cord_mm).to(device),
        canal_mm=torch.from_numpy(canal_mm[places]).to(device),
        grey=torch.from_numpy(_box(grey.astype(np.float32), middle)).to(device),
        spine=_bone_and_discs(spine, canal_mm[places], middle).to(device),
        spine_axis=tuple(((middle - 0.5) / 2).tolist()),
        tops=torch.tensor(tops, dtype=torch.float32, device=device),
        last=int(np.flatnonzero(cord.any((0, 1))).max()),
    )


def _read_maps(paths) -> list[np.ndarray]:
    """Arrays in RAS order; masks as bool, the others as they are."""
    images = [nib.as_closest_canonical(nib.load(path)) for path in paths]
    for path, image in zip(paths, images, strict=True):
        zooms = image.header.get_zooms()[:3]
        if not np.allclose(zooms, VOXEL_MM, atol=1e-3):
            raise ValueError(f"{path}: voxels of {zooms} mm where 0.5 mm are needed")
        if image.shape != images[0].shape:
            raise ValueError(f"{path}: grid {image.shape} is not that of {paths[0].name}")
    cord, csf, grey, spine, levels = (np.asarray(image.dataobj) for image in images)
    return [cord > 0, csf > 0, grey, spine > 0, levels]


def _radii_mm(mask, middle):
    """Outer radius (S, 96) of a mask without holes, as the length of every ray inside it.

    A light mean over neighbouring slices and angles takes the voxels' steps out.
    """
    step = 0.5
    angles = torch.arange(ANGLES) * (2 * math.pi / ANGLES)
    distances = (torch.arange(80) + 0.5) * step
    rays = distances[:, None, None] * torch.stack([angles.sin(), angles.cos()], -1)
    size = torch.tensor([mask.shape[1], mask.shape[0]])  # grid_sample wants y first
    centre = torch.tensor([middle[1], middle[0]], dtype=torch.float32)
    places = 2 * (rays + centre) / (size - 1) - 1
    radii = np.zeros((mask.shape[2], ANGLES), np.float32)
    for z in np.flatnonzero(mask.any((0, 1))):
        image = torch.from_numpy(mask[:, :, z].astype(np.float32))[None, None]
        radii[z] = grid_sample(image, places[None], align_corners=True)[0, 0].sum(0)
    smooth = uniform_filter1d(uniform_filter1d(radii, 5, axis=1, mode="wrap"), 9, axis=0)
    return smooth * mask.any((0, 1))[:, None] * np.float32(step * VOXEL_MM)


def _box(grey, middle):
    """Grey matter within GREY_REACH voxels of the axis."""
    padded = np.pad(grey, ((GREY_REACH,) * 2, (GREY_REACH,) * 2, (0, 0)))
    x, y = np.rint(middle).astype(int)
    return padded[x : x + 2 * GREY_REACH + 1, y : y + 2 * GREY_REACH + 1].copy()


def _bone_and_discs(spine, canal_mm, middle):
    """Share of bone and of disc (2, X, Y, S / 2) in voxels of 1 mm.

    PAM50 has no discs: they are what a closing of 12 mm along the cord adds to the vertebral
    bodies, in front of the canal.
    """
    bone = avg_pool3d(torch.from_numpy(spine.astype(np.float32))[None], 2, ceil_mode=True)
    window, margin = (1, 1, 13), (0, 0, 6)
    closed = -max_pool3d(-max_pool3d(bone, window, 1, margin), window, 1, margin)
    x, y = (torch.arange(n) - (m - 0.5) / 2 for n, m in zip(bone.shape[1:], middle, strict=False))
    edge_mm = torch.from_numpy(canal_mm[::2, ANGLES // 4])
    bodies = (y[:, None] > edge_mm - 0.5) & (x.abs() < 20)[:, None, None]
    return torch.cat([bone, (closed - bone).clamp(min=0) * bodies])
