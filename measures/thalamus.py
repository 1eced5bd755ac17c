"""Thalamus volumes by hemisphere from a probability map, and when not to believe them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEFT, RIGHT = 1, 2
# Both thalami together. Dwyer 2021, Table 1: 14.0 (SD 1.6) mL in MS, 16.9 in controls; SAMSEG gives
# 8 mL in the most atrophic brain of our kit. Outside these bounds a segmentation has failed.
PLAUSIBLE_ML = (4.0, 25.0)
LARGEST_ASYMMETRY = 0.25
THICKEST_SLICE_MM = 6.5  # the paper's data end at 6 mm (Table 2)
FARTHEST_CENTRE_MM = 15.0


@dataclass(frozen=True)
class Midplane:
    """The plane between two thalami: a point (mm) and the unit normal that points right."""

    point_mm: np.ndarray
    normal: np.ndarray

    def side(self, points_mm: np.ndarray) -> np.ndarray:
        """LEFT or RIGHT for every point (N, 3)."""
        return np.where((points_mm - self.point_mm) @ self.normal < 0, LEFT, RIGHT)


def find_midplane(points_mm: np.ndarray, weights: np.ndarray, right: np.ndarray) -> Midplane:
    """Plane halfway between the left and the right thalamus.

    Two-means clustering of the weighted voxels (``points_mm`` (N, 3), ``weights`` (N,)), started
    from either side of their centre along ``right`` (unit vector to the subject's right). The
    perpendicular bisector of the two centroids follows a turned or tilted head, and needs no
    registration. Raises ValueError when one side is empty.
    """
    centre = np.average(points_mm, axis=0, weights=weights)
    plane = Midplane(centre, np.asarray(right, float))
    for _ in range(50):
        is_left = plane.side(points_mm) == LEFT
        if not weights[is_left].sum() or not weights[~is_left].sum():
            raise ValueError("one hemisphere holds no thalamus")
        left, other = (
            np.average(points_mm[s], axis=0, weights=weights[s]) for s in (is_left, ~is_left)
        )
        normal = (other - left) / np.linalg.norm(other - left)
        moved = Midplane((left + other) / 2, normal)
        if np.allclose(moved.point_mm, plane.point_mm, atol=1e-3):
            return moved
        plane = moved
    return plane


def voxel_positions(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """World positions in mm (N, 3) of the true voxels of a mask (X, Y, Z), in C order."""
    return np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]


def split_hemispheres(
    probability: np.ndarray, affine: np.ndarray, threshold: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """Label the thalamus by hemisphere.

    Returns (mask, side), uint8 (X, Y, Z): ``mask`` is LEFT or RIGHT where the probability reaches
    ``threshold`` and 0 elsewhere, ``side`` labels every voxel of non-zero probability.
    """
    support = probability > 0
    side = np.zeros(probability.shape, np.uint8)
    points = voxel_positions(support, affine)
    plane = find_midplane(points, probability[support], right=np.array([1.0, 0.0, 0.0]))
    side[support] = plane.side(points)
    return np.where(probability >= threshold, side, 0).astype(np.uint8), side


def thalamus_volumes(probability, mask, side, voxel_mm3: float) -> dict[str, float]:
    """Volumes on FLAIR in mL by mask and by summed probability (``soft``), and the asymmetry.

    ``probability``, ``mask`` and ``side`` (X, Y, Z) are those of ``split_hemispheres``. Keys are
    columns of ``*_morph.tsv``.
    """
    ml = voxel_mm3 / 1000
    hard = [float((mask == s).sum() * ml) for s in (LEFT, RIGHT)]
    soft = [float(probability[side == s].sum(dtype=np.float64) * ml) for s in (LEFT, RIGHT)]
    return columns("flair", hard, soft)


def columns(contrast: str, hard, soft) -> dict[str, float]:
    """Columns of ``*_morph.tsv`` from (left, right) volumes in mL, by mask and by probability.

    ``contrast`` is ``flair`` or ``t1w``. The asymmetry is (left - right) / (left + right) of the
    summed probabilities, 0 where there is nothing on either side.
    """
    total = soft[0] + soft[1]
    name = f"thalamus_{contrast}"
    return {
        f"{name}_left_ml": hard[0],
        f"{name}_right_ml": hard[1],
        f"{name}_ml": hard[0] + hard[1],
        f"{name}_left_soft_ml": soft[0],
        f"{name}_right_soft_ml": soft[1],
        f"{name}_soft_ml": total,
        f"{name}_asymmetry": (soft[0] - soft[1]) / total if total else 0.0,
    }


def implausibility(
    volume_ml: float,
    asymmetry: float,
    slice_thickness_mm: float,
    clipped: bool,
    centre_shift_mm: float = 0.0,
) -> str:
    """Why the volumes of the thalami should not be used, or ``ok``.

    ``volume_ml`` is that of both by mask; ``clipped`` tells that the segmentation reaches the edge
    of the field of view; ``centre_shift_mm`` is the distance from the place stage 1 found to the
    centre of what stage 2 segmented, where there are two stages.
    """
    if slice_thickness_mm > THICKEST_SLICE_MM:
        return f"slices of {slice_thickness_mm:.1f} mm are thicker than {THICKEST_SLICE_MM} mm"
    if not PLAUSIBLE_ML[0] <= volume_ml <= PLAUSIBLE_ML[1]:
        low, high = PLAUSIBLE_ML
        return f"volume of {volume_ml:.1f} mL is outside {low:.0f}-{high:.0f} mL"
    if not abs(asymmetry) <= LARGEST_ASYMMETRY:
        return "one side is less than 60% of the other"
    if clipped:
        return "the thalamus is cut by the edge of the field of view"
    if centre_shift_mm > FARTHEST_CENTRE_MM:
        return f"the two stages disagree on the place of the thalamus by {centre_shift_mm:.0f} mm"
    return "ok"
