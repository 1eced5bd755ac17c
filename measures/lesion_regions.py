"""Where in the brain a lesion lies: the regions of the McDonald criteria."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt

from measures.components import NEIGHBOURS_18, bounding_box, label_components
from measures.structures import (
    ABNORMAL,
    BRAIN,
    CHOROID_PLEXUS,
    check_label_map,
    labels_of,
    lacking_structures,
)

REGIONS = ("periventricular", "juxtacortical", "infratentorial", "deep_white_matter")
#: Those that count for dissemination in space (McDonald 2017); the fourth is the cord.
DISSEMINATION_REGIONS = REGIONS[:3]
NEAR_MM = 1.5
#: Smaller islands of ventricle or cortex are errors of the labels, often at a lesion's rim.
SMALLEST_STRUCTURE_MM3 = 100.0
_NEEDED = ("lateral_ventricle", "cortex", "brain_stem", "cerebellum")
_ROUNDING_MM = 1e-3
_SUPRATENTORIAL = tuple(
    set(BRAIN) - set(labels_of("brain_stem", "cerebellum", "fourth_ventricle")) - set(ABNORMAL)
)


@dataclass(frozen=True)
class LesionPlace:
    """Where one lesion lies; None where the structures do not tell.

    ``infratentorial_fraction`` and ``outside_brain_fraction`` are shares of its voxels, 0 to 1.
    """

    region: str | None = None
    touches_ventricle: bool | None = None
    touches_cortex: bool | None = None
    infratentorial_fraction: float | None = None
    outside_brain_fraction: float | None = None


def regions_flag(structures: np.ndarray | None) -> str:
    """``ok``, or why a label map (X, Y, Z) with FreeSurfer's numbers gives no regions."""
    if structures is None:
        return "no structures were segmented"
    lacking = lacking_structures(structures, _NEEDED)
    if lacking:
        return f"no {' and no '.join(name.replace('_', ' ') for name in lacking)} was segmented"
    return "ok"


def locate_lesions(
    lesions: np.ndarray, structures: np.ndarray | None, voxel_mm: np.ndarray
) -> list[LesionPlace]:
    """Place of every lesion, in the order of their numbers.

    ``lesions`` (X, Y, Z) has numbers from 1 on, ``structures`` FreeSurfer's labels on the same
    grid, ``voxel_mm`` three edges. The first that holds (issue 4; McDonald 2017):

    - none (None) where more than half of the lesion lies outside the brain;
    - ``infratentorial``: more than half of its voxels are nearer to brain stem or cerebellum than
      to any supratentorial structure. The ventral diencephalon, which in FreeSurfer holds part of
      the cerebral peduncles, is supratentorial;
    - ``periventricular``: it touches the lateral ventricles (inferior horns and the plexus in them
      included) by a face or an edge of a voxel, or the centres of two voxels are at most 1.5 mm
      apart;
    - ``juxtacortical``: it touches the cerebral cortex by the same rule, lesions in the cortex
      included;
    - ``deep_white_matter``: all else, deep grey matter included.

    A lesion that touches both ventricle and cortex is periventricular; the booleans keep both.
    Labels under lesions are no evidence of ventricle or cortex, since dark lesions are often given
    these labels. All are unknown unless :func:`regions_flag` is ``ok``. Raises ValueError for
    another grid.
    """
    count = int(lesions.max(initial=0))
    if not count or regions_flag(structures) != "ok":
        return [LesionPlace()] * count
    structures = check_label_map(structures, lesions.shape)
    box = bounding_box((lesions > 0) | np.isin(structures, BRAIN))
    lesions, structures = lesions[box], structures[box]
    ventricle = labels_of("lateral_ventricle") + CHOROID_PLEXUS
    ventricular = _share(lesions, _near(structures, ventricle, lesions, voxel_mm)) > 0
    cortical = _share(lesions, _near(structures, labels_of("cortex"), lesions, voxel_mm)) > 0
    below = _share(lesions, _is_infratentorial(structures, voxel_mm))
    outside = _share(lesions, _is_outside(structures, lesions, voxel_mm))
    return [
        LesionPlace(_name_region(*place), bool(place[0]), bool(place[1]), *map(float, place[2:]))
        for place in zip(ventricular, cortical, below, outside, strict=True)
    ]


def _name_region(touches_ventricle, touches_cortex, infratentorial, outside) -> str | None:
    if outside > 0.5:
        return None
    if infratentorial > 0.5:
        return "infratentorial"
    if touches_ventricle:
        return "periventricular"
    return "juxtacortical" if touches_cortex else "deep_white_matter"


def _share(lesions: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Share (N,) of every lesion's voxels that are in a mask."""
    sizes = np.bincount(lesions.ravel())[1:]
    return np.bincount(lesions[where], minlength=len(sizes) + 1)[1:] / sizes


def _near(structures, labels, lesions, voxel_mm) -> np.ndarray:
    """Voxels that touch a structure or have it within 1.5 mm of their centre.

    Thick slices need the first: their neighbours' centres are farther away than 1.5 mm.
    """
    found = np.isin(structures, labels) & (lesions == 0)
    found = label_components(found, float(np.prod(voxel_mm)), SMALLEST_STRUCTURE_MM3) > 0
    if not found.any():
        return found
    distance = distance_transform_edt(~found, sampling=voxel_mm)
    return (distance <= NEAR_MM + _ROUNDING_MM) | binary_dilation(found, NEIGHBOURS_18)


def _is_infratentorial(structures, voxel_mm) -> np.ndarray:
    """Voxels whose nearest structure with a side of the tentorium lies below it."""
    below = np.isin(structures, labels_of("brain_stem", "cerebellum"))
    known = below | np.isin(structures, _SUPRATENTORIAL)
    return below[_nearest(known, voxel_mm)]


def _is_outside(structures, lesions, voxel_mm) -> np.ndarray:
    """Voxels whose nearest voxel that is no lesion is background, CSF or another tissue."""
    outside = ~np.isin(structures, BRAIN)
    other = lesions == 0
    return outside[_nearest(other, voxel_mm)] if other.any() else outside


def _nearest(mask: np.ndarray, voxel_mm) -> tuple[np.ndarray, ...]:
    """Index of the nearest true voxel, for every voxel."""
    return tuple(
        distance_transform_edt(
            ~mask, sampling=voxel_mm, return_distances=False, return_indices=True
        )
    )
