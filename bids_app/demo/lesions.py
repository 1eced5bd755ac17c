"""Simulated MS lesions: where they lie and what they look like, in template space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .anatomy import Head
from .deform import Grid, grid_points


@dataclass(frozen=True)
class Lesion:
    """One lesion: McDonald ``region``, ``centre`` and ``radii`` in mm, first ``session``."""

    region: str
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    session: int


# region, radii range (mm), how many from the first session on
PLAN = (
    ("periventricular", (3.2, 6.5), 4),
    ("juxtacortical", (2.8, 4.0), 2),
    ("deep_white_matter", (2.8, 4.5), 2),
    ("infratentorial", (2.5, 3.5), 1),
)
NEW_REGION = ("periventricular", (3.6, 5.0))


def _distance(mask: np.ndarray) -> np.ndarray:
    """Return the distance (mm) to a mask on the 2 mm grid."""
    return 2.0 * ndimage.distance_transform_edt(~mask)


def region_maps(head: Head) -> dict[str, np.ndarray]:
    """Return, per region, a mask of voxels where a lesion may be centred.

    White matter more than 7 mm from the thalami (so that no lesion touches the truth there).
    On every second voxel of the grid (2 mm).
    """
    affine = head.grid.affine.copy()
    affine[:3, :3] *= 2
    tissue = {k: head.tissue[k][::2, ::2, ::2] for k in ("csf", "gm", "left", "right")}
    coarse = Grid(tissue["csf"].shape, affine)
    x, y, z = grid_points(coarse)
    white = ndimage.gaussian_filter(head.tissue["wm"], 1.0, truncate=2)[::2, ::2, ::2] > 0.9
    thalami = (tissue["left"] + tissue["right"]) > 0.5
    # lateral ventricles: CSF well inside the brain
    deep = (np.abs(x) < 40) & (y > -75) & (y < 45) & (z > -5) & (z < 32)
    ventricle = deep & (tissue["csf"] > 0.7) & (_distance(~head.brain[::2, ::2, ::2]) > 20)
    to_ventricle = _distance(ventricle)
    to_cortex = _distance((tissue["gm"] > 0.5) & (z > 8))
    free = white & (_distance(thalami) > 7)
    high = free & (z > 8)
    return {
        "periventricular": high
        & (z > 14)
        & (np.abs(x) > 8)
        & (to_ventricle >= 2)
        & (to_ventricle <= 4),
        "juxtacortical": high & (z > 20) & (to_cortex <= 3.2) & (to_ventricle > 15),
        "deep_white_matter": high & (z > 18) & (to_cortex > 6) & (to_ventricle > 9),
        "infratentorial": free & (z < -25) & (z > -48) & (y < -20) & (np.abs(x) < 32),
    }


def draw_lesions(head: Head, rng: np.random.Generator, maps=None) -> list[Lesion]:
    """Draw a subject's lesions by ``PLAN``, the last one appearing in session 2.

    Centres are at least 14 mm apart so that lesions never merge.
    """
    maps = maps or region_maps(head)
    plan = [(r, span, 1) for r, span, count in PLAN for _ in range(count)]
    plan.append((*NEW_REGION, 2))
    lesions: list[Lesion] = []
    for region, span, session in plan:
        candidates = 2.0 * np.argwhere(maps[region]) + head.grid.affine[:3, 3]
        for other in lesions:
            gap = np.linalg.norm(candidates - np.array(other.centre), axis=1)
            candidates = candidates[gap > 14.0]
        centre = candidates[rng.integers(len(candidates))]
        radii = rng.uniform(*span, 3)
        lesions.append(Lesion(region, tuple(centre), tuple(radii), session))
    return lesions


def lesion_fraction(
    head: Head, lesions: list[Lesion], session: int, rng, region: str | None = None
) -> np.ndarray:
    """Return the lesion fraction (0..1, ``head.grid.shape``) present in a session (1 or 2).

    Lesions are ellipsoids with an uneven border (a smooth random field of about 15% of the
    radius, the same in both sessions); they take the place of white and grey matter only. With
    ``region``, only the lesions planned there are drawn, each as it is among all.
    """
    fraction = np.zeros(head.grid.shape, np.float32)
    solid = head.tissue["wm"] + head.tissue["gm"]
    for lesion in lesions:
        centre = head.grid.to_voxel(np.array(lesion.centre).reshape(3, 1))[:, 0]
        low = np.maximum(np.rint(centre).astype(int) - 12, 0)
        window = tuple(slice(a, a + 25) for a in low)
        points = grid_points(head.grid, window)
        scaled = [(p - c) / r for p, c, r in zip(points, lesion.centre, lesion.radii, strict=True)]
        rough = ndimage.gaussian_filter(rng.standard_normal(points.shape[1:]), 2.0)
        rough *= 0.15 / rough.std()
        radius = np.sqrt(sum(s * s for s in scaled)) + rough
        shape = np.clip(0.5 + (1.0 - radius) * min(lesion.radii), 0, 1)
        if lesion.session <= session and region in (None, lesion.region):
            fraction[window] = np.maximum(fraction[window], shape * solid[window])
    return fraction
