"""The cord's centreline: found in a heat map, smoothed, measured, compared with a manual one.

A centreline is an array (n, 3) of voxel coordinates, one point a slice from the lowest slice to
the highest without a gap, on voxels in RAS order: the third axis leads from feet to head.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.interpolate import make_smoothing_spline

from measures.components import bounding_box

#: The search runs on pixels of about this edge; the refinement afterwards on those of the image.
SEARCH_PIXEL_MM = 1.0
#: Farther than this from its edge, tissue does not look more like cord: the half of a cord is less
#: than that, but a false blob (brain, throat) can be far larger and must not outweigh it.
DEEPEST_MM = 4.0
#: Weight of the squared slope against the depth in the cord, in mm.
REGULARITY_MM = 0.5
STEEPEST_DEG = 60.0
#: Two stretches of cord farther apart than this are not bridged: one of them is false.
LONGEST_GAP_MM = 40.0
#: A component that comes this near to the centreline belongs to the cord.
REACH_MM = 2.0
#: Waves this long lose half of their height in the smoothing. Necks bend over 100 mm and more.
SMOOTHED_WAVE_MM = 30.0
_IN_PLANE = ndimage.generate_binary_structure(3, 2) & (np.arange(3) == 1)
_FEWEST_FOR_SPLINE = 5  # of scipy


def trace_centreline(
    probability: np.ndarray,
    voxel_mm: np.ndarray,
    threshold: float = 0.5,
    regularity_mm: float = REGULARITY_MM,
) -> np.ndarray:
    """Centreline (n, 3) in voxels of the cord in a probability map (X, Y, Z), RAS voxel order.

    After OptiC (Gros 2018; Gros 2019, 2.2.2): each slice's Euclidean distance to the edge of what
    reaches ``threshold``, no deeper than 4 mm, is summed along a curve less ``regularity_mm``
    times its squared slope, and dynamic programming finds the best curve. Then it moves to the
    centres of what it passes and is smoothed. It ends at the lowest and the highest slice where
    it meets cord; gaps up to 40 mm are bridged, and of stretches farther apart the one with most
    slices is kept. (0, 3) when there is no cord. Raises ValueError unless there are three axes.
    """
    probability = np.asarray(probability)
    if probability.ndim != 3:
        raise ValueError(f"a probability map with {probability.ndim} axes instead of three")
    voxel_mm = np.asarray(voxel_mm, float)
    mask = probability >= threshold
    if not mask.any():
        return np.zeros((0, 3))
    box = bounding_box(mask)
    found, probability = mask[box], probability[box]
    path = _search(probability, voxel_mm, threshold, regularity_mm)
    cord = components_at(found, path, voxel_mm)
    seen = _longest_stretch(np.flatnonzero(cord.any(axis=(0, 1))), voxel_mm[2])
    centres = _centres(np.where(cord, probability, 0), seen)
    corner = [side.start for side in box]
    return smooth_centreline(centres + corner, voxel_mm)


def reference_centreline(mask: np.ndarray, voxel_mm: np.ndarray) -> np.ndarray:
    """Centreline (n, 3) in voxels of a cord mask (X, Y, Z), or weights: smoothed centres of slices.

    Gros 2019, 2.4.1, with a smoothing spline in place of a Bezier one. (0, 3) for an empty mask.
    """
    slices = np.flatnonzero(np.any(mask, axis=(0, 1)))
    return smooth_centreline(_centres(np.asarray(mask, float), slices), voxel_mm)


def smooth_centreline(points: np.ndarray, voxel_mm: np.ndarray) -> np.ndarray:
    """Smoothing spline through points (m, 3) in voxels, rising by slice; one point a slice (n, 3).

    Waves of 30 mm lose half of their height, longer ones less (with the fourth power of the
    length). Slices without a point in between are bridged. Two to four points give a line.
    """
    points = np.asarray(points, float).reshape(-1, 3)
    if not len(points):
        return points
    slice_mm = float(voxel_mm[2])
    slices = np.arange(points[0, 2], points[-1, 2] + 1)
    if len(points) < _FEWEST_FOR_SPLINE:
        lines = np.polyfit(points[:, 2], points[:, :2], min(1, len(points) - 1))
        in_plane = np.polynomial.polynomial.polyval(slices, lines[::-1]).T
    else:
        # the spline weighs a wave of length w down by 1 + penalty (2 pi / w)^4 times the spacing
        penalty = (SMOOTHED_WAVE_MM / (2 * np.pi)) ** 4 / slice_mm
        z_mm = points[:, 2] * slice_mm
        splines = [make_smoothing_spline(z_mm, axis, lam=penalty) for axis in points[:, :2].T]
        in_plane = np.column_stack([spline(slices * slice_mm) for spline in splines])
    return np.column_stack([in_plane, slices])


def arc_length_mm(points: np.ndarray, voxel_mm: np.ndarray) -> np.ndarray:
    """Length (n,) in mm along a centreline (n, 3) in voxels from its lowest point to each."""
    steps = np.diff(np.asarray(points, float) * voxel_mm, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    return np.concatenate([[0.0], np.cumsum(lengths)])[: len(points)]


def tangents(points: np.ndarray, voxel_mm: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 3) along a smooth centreline (n, 3) in voxels, upwards, in RAS.

    A single point has the normal of its slice.
    """
    points_mm = np.asarray(points, float) * voxel_mm
    if len(points_mm) < 2:
        return np.tile([0.0, 0.0, 1.0], (len(points_mm), 1))
    along = np.gradient(points_mm, axis=0)
    return along / np.linalg.norm(along, axis=1, keepdims=True)


def components_at(mask: np.ndarray, points: np.ndarray, voxel_mm: np.ndarray) -> np.ndarray:
    """What of a mask (X, Y, Z) the points (n, 3) in voxels, one a slice, meet; bool (X, Y, Z).

    Kept are a slice's components (8-connectivity) that come within 2 mm, or within half a pixel's
    diagonal, of its point.
    """
    parts, count = ndimage.label(mask, structure=_IN_PLANE)
    pixel_mm = np.asarray(voxel_mm, float)[:2]
    reach_mm = max(REACH_MM, np.linalg.norm(pixel_mm) / 2)
    kept = np.zeros(count + 1, bool)
    for point in points:
        low = np.maximum(np.ceil(point[:2] - reach_mm / pixel_mm), 0).astype(int)
        high = np.maximum(np.floor(point[:2] + reach_mm / pixel_mm) + 1, 0).astype(int)
        window = parts[low[0] : high[0], low[1] : high[1], round(point[2])]
        x, y = (np.indices(window.shape).T + low - point[:2]).T * pixel_mm[:, None, None]
        kept[window[x**2 + y**2 <= reach_mm**2]] = True
    kept[0] = False
    return kept[parts]


def mean_square_error_mm2(first: np.ndarray, second: np.ndarray, voxel_mm: np.ndarray) -> float:
    """Mean squared in-plane distance in mm2 of two centrelines over the slices they share.

    ``first`` (n, 3) and ``second`` (m, 3) are in voxels of one grid (Gros 2019, 2.4.1, which
    gives the figure in mm). NaN where no slice is shared.
    """
    slices = (np.rint(np.asarray(line, float)[:, 2]).astype(int) for line in (first, second))
    _, here, there = np.intersect1d(*slices, return_indices=True)
    if not len(here):
        return float("nan")
    offset = (np.asarray(first)[here, :2] - np.asarray(second)[there, :2]) * voxel_mm[:2]
    return float((offset**2).sum(axis=1).mean())


def localisation_rate(points: np.ndarray, mask: np.ndarray) -> float:
    """Share, 0 to 1, of a manual mask's slices whose point (n, 3) in voxels lies inside the mask.

    Gros 2019, 2.4.1. ``mask`` is (X, Y, Z). A slice of the mask without a point is a miss. NaN for
    an empty mask.
    """
    slices = np.count_nonzero(np.any(mask, axis=(0, 1)))
    if not slices:
        return float("nan")
    voxels = np.rint(np.asarray(points, float)).astype(int).reshape(-1, 3)
    voxels = voxels[np.all((voxels >= 0) & (voxels < mask.shape), axis=1)]
    return float(np.count_nonzero(np.asarray(mask, bool)[tuple(voxels.T)]) / slices)


def _search(probability, voxel_mm, threshold, regularity_mm) -> np.ndarray:
    """Best curve (Z, 3) in voxels through every slice of a probability map (X, Y, Z)."""
    merge = np.maximum(np.rint(SEARCH_PIXEL_MM / voxel_mm[:2]), 1).astype(int)
    pixel_mm = merge * voxel_mm[:2]
    coarse = _mean_blocks(probability, merge) >= threshold
    depth = np.stack([_depth_mm(cut, pixel_mm) for cut in coarse])
    # as an integral along z, so that thick slices and thin ones give the same curve
    gain = np.minimum(depth, DEEPEST_MM) * voxel_mm[2]
    steepest_mm = voxel_mm[2] * np.tan(np.radians(STEEPEST_DEG))
    reach = np.clip(np.ceil(steepest_mm / pixel_mm), 1, coarse.shape[1:]).astype(int)
    costs = [
        regularity_mm * (np.arange(-r, r + 1) * mm) ** 2 / voxel_mm[2]
        for r, mm in zip(reach, pixel_mm, strict=True)
    ]
    path = _best_path(gain, costs)
    in_plane = (path + 0.5) * merge - 0.5
    return np.column_stack([in_plane, np.arange(len(path))])


def _mean_blocks(volume, merge) -> np.ndarray:
    """Means (Z, x, y) of blocks of pixels of a volume (X, Y, Z), slices first; zeros fill up."""
    short = -np.asarray(volume.shape[:2]) % merge
    filled = np.pad(volume, ((0, short[0]), (0, short[1]), (0, 0)))
    x, y = np.asarray(filled.shape[:2]) // merge
    return filled.reshape(x, merge[0], y, merge[1], -1).mean(axis=(1, 3)).transpose(2, 0, 1)


def _depth_mm(mask, pixel_mm) -> np.ndarray:
    """Distance (x, y) in mm from what is true to the nearest background; the image ends in it."""
    box = bounding_box(mask)
    depth = np.zeros(mask.shape, np.float32)
    inside = np.pad(mask[box], 1)
    depth[box] = ndimage.distance_transform_edt(inside, sampling=pixel_mm)[1:-1, 1:-1]
    return depth


def _best_path(gain, costs) -> np.ndarray:
    """Pixels (Z, 2) of the path of the greatest gain less cost.

    ``gain`` (Z, x, y) is what every pixel yields; ``costs``, (2r+1,) along x and (2s+1,) along y,
    what a step to the next slice costs: farther ones are not allowed. Since the costs of both axes
    add up, the best step is found for one axis after the other; the way back looks them up in the
    totals, so that none need be stored.
    """
    totals = [gain[0]]
    for cut in gain[1:]:
        along_x = _best_step(totals[-1], costs[0])
        totals.append(cut + _best_step(along_x.T, costs[1]).T)
    reach = np.array([len(cost) // 2 for cost in costs])
    paid = np.add.outer(*costs)
    path = [np.array(np.unravel_index(np.argmax(totals[-1]), gain.shape[1:]))]
    for total in totals[-2::-1]:
        padded = np.pad(total, [(r, r) for r in reach], constant_values=-np.inf)
        (left, back), (right, front) = path[-1], path[-1] + paid.shape
        window = padded[left:right, back:front]
        step = np.unravel_index(np.argmax(window - paid), paid.shape)
        path.append(path[-1] + step - reach)
    return np.array(path[::-1])


def _best_step(total, cost) -> np.ndarray:
    """Greatest total less cost (x, y) within the steps along the first axis."""
    reach = len(cost) // 2
    padded = np.pad(total, ((reach, reach), (0, 0)), constant_values=-np.inf)
    best = np.full_like(total, -np.inf)
    for shift, paid in enumerate(cost):
        np.maximum(best, padded[shift : shift + len(total)] - paid, out=best)
    return best


def _longest_stretch(slices, slice_mm) -> np.ndarray:
    """Of rising slice numbers, split where a gap is too long to bridge, the largest group."""
    steps = np.diff(slices)
    breaks = np.flatnonzero((steps > 1) & (steps * slice_mm > LONGEST_GAP_MM)) + 1
    return max(np.split(slices, breaks), key=len)


def _centres(weights, slices) -> np.ndarray:
    """Centres (m, 3) in voxels of the weights (X, Y, Z) in the given slices."""
    here = weights[:, :, slices]
    total = here.sum(axis=(0, 1))
    x = np.einsum("xyz,x->z", here, np.arange(here.shape[0])) / total
    y = np.einsum("xyz,y->z", here, np.arange(here.shape[1])) / total
    return np.column_stack([x, y, slices])
