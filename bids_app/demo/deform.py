"""Deformations of the demo heads: one head a subject, thalamic atrophy, head pose.

All maps are pull-backs: they give, for a point of the image to be made, the point of the
template to read. Points are in millimetres of template space (RAS), arrays (3, ...).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Grid:
    """A voxel grid: ``shape`` of three axes and ``affine`` (4, 4), voxel to millimetres."""

    shape: tuple[int, int, int]
    affine: np.ndarray

    def to_voxel(self, points: np.ndarray) -> np.ndarray:
        """Turn millimetre points (3, ...) into voxel coordinates (3, ...)."""
        return transform(np.linalg.inv(self.affine), points)


def transform(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a 4 x 4 matrix to points (3, ...); float32."""
    flat = points.reshape(3, -1)
    moved = matrix[:3, :3].astype(np.float32) @ flat.astype(np.float32, copy=False)
    moved += matrix[:3, 3:].astype(np.float32)
    return moved.reshape(points.shape)


def sample(volume: np.ndarray, grid: Grid, points: np.ndarray, mode: str = "constant"):
    """Read ``volume`` (on ``grid``) at millimetre points (3, ...) by trilinear interpolation."""
    coordinates = grid.to_voxel(points)
    return ndimage.map_coordinates(volume, coordinates, order=1, mode=mode, output=np.float32)


def grid_points(grid: Grid, window: tuple[slice, slice, slice] | None = None) -> np.ndarray:
    """Return the millimetre points (3, *shape), float32, of a grid or of a window of it."""
    window = window or tuple(slice(0, n) for n in grid.shape)
    axes = [np.arange(w.start, w.stop, dtype=np.float32) for w in window]
    points = np.empty((3, *(len(a) for a in axes)), np.float32)
    for row in range(3):
        terms = [np.float32(grid.affine[row, k]) * axes[k] for k in range(3)]
        points[row] = (
            terms[0][:, None, None] + terms[1][None, :, None] + terms[2][None, None, :]
        ) + np.float32(grid.affine[row, 3])
    return points


def rigid(angles_deg: np.ndarray, shift_mm: np.ndarray, centre=(0.0, -18.0, 8.0)) -> np.ndarray:
    """Return the 4 x 4 matrix that turns about ``centre`` (x, then y, then z) and shifts."""
    ax, ay, az = np.deg2rad(angles_deg)
    rx = [[1, 0, 0], [0, np.cos(ax), -np.sin(ax)], [0, np.sin(ax), np.cos(ax)]]
    ry = [[np.cos(ay), 0, np.sin(ay)], [0, 1, 0], [-np.sin(ay), 0, np.cos(ay)]]
    rz = [[np.cos(az), -np.sin(az), 0], [np.sin(az), np.cos(az), 0], [0, 0, 1]]
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(rz) @ np.array(ry) @ np.array(rx)
    matrix[:3, 3] = np.asarray(centre) + shift_mm - matrix[:3, :3] @ np.asarray(centre)
    return matrix


def random_pose(rng: np.random.Generator, degrees: float, mm: float) -> np.ndarray:
    """Draw a rigid head position, uniform within ``degrees`` and ``mm`` about each axis."""
    return rigid(rng.uniform(-degrees, degrees, 3), rng.uniform(-mm, mm, 3))


@dataclass(frozen=True)
class HeadWarp:
    """A subject's own head shape: a diffeomorphic field after an affine scaling.

    ``field`` (3, *grid.shape) is a displacement in millimetres, ``scale`` the size of this
    head relative to the template along x, y, z.
    """

    grid: Grid
    field: np.ndarray
    scale: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map points of this head (3, ...) to template points (3, ...)."""
        moved = points / self.scale.astype(np.float32).reshape(3, *[1] * (points.ndim - 1))
        coordinates = self.grid.to_voxel(moved)
        for axis in range(3):
            moved[axis] += ndimage.map_coordinates(
                self.field[axis], coordinates, order=1, mode="nearest", output=np.float32
            )
        return moved


def random_head(rng, grid: Grid, amplitude_mm: float, scale, smooth_mm: float = 28.0) -> HeadWarp:
    """Draw a smooth diffeomorphic head shape of at most about ``amplitude_mm``.

    A Gaussian-smoothed random velocity field (standard deviation ``smooth_mm``) on a 4 mm grid
    is integrated by scaling and squaring.
    """
    step = 4.0
    shape = tuple(int(np.ceil(n / step)) for n in grid.shape)
    affine = grid.affine.copy()
    affine[:3, :3] *= step
    coarse = Grid(shape, affine)
    field = np.stack(
        [
            ndimage.gaussian_filter(rng.standard_normal(shape), smooth_mm / step, mode="wrap")
            for _ in range(3)
        ]
    )
    field *= amplitude_mm / np.abs(field).max()
    field = (field / 2**5).astype(np.float32)
    base = grid_points(coarse)
    for _ in range(5):
        coordinates = coarse.to_voxel(base + field)
        field = field + np.stack(
            [ndimage.map_coordinates(f, coordinates, order=1, mode="nearest") for f in field]
        )
    return HeadWarp(coarse, field, np.asarray(scale, float))


@dataclass(frozen=True)
class Atrophy:
    """Shrinkage of the thalami: each contracts towards an anchor at its lateral border.

    ``weights`` (2, *grid.shape) is 1 in the left/right thalamus and falls to 0 around it and at
    the midline, so that the third ventricle takes the space medially, the lateral ventricle
    dorsally, and the internal capsule hardly moves. ``stretch`` is the linear pull-back factor
    minus one for left and right (0: no atrophy).
    """

    grid: Grid
    weights: np.ndarray
    anchors: np.ndarray
    stretch: tuple[float, float] = (0.0, 0.0)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map points of the atrophied head (3, ...) to points of the healthy one."""
        if not any(self.stretch):
            return points
        moved = points.copy()
        coordinates = self.grid.to_voxel(points)
        near = np.ones(points.shape[1:], bool)
        for axis, length in enumerate(self.grid.shape):
            near &= (coordinates[axis] > -1) & (coordinates[axis] < length)
        coordinates, inside = coordinates[:, near], points[:, near]
        change = np.zeros_like(inside)
        for weight, anchor, stretch in zip(self.weights, self.anchors, self.stretch, strict=True):
            if stretch:
                pull = stretch * ndimage.map_coordinates(
                    weight, coordinates, order=1, mode="constant", output=np.float32
                )
                for axis in range(3):
                    change[axis] += pull * (inside[axis] - np.float32(anchor[axis]))
        moved[:, near] += change
        return moved


def solve_stretch(volume_of, target_ml: float, loss: float) -> float:
    """Find the stretch for which ``volume_of(stretch)`` (ml) is ``target_ml`` (secant steps)."""
    low, v_low = 0.0, volume_of(0.0)
    high = (1.0 / (1.0 - loss)) ** (1.0 / 3.0) - 1.0
    v_high = volume_of(high)
    for _ in range(6):
        if abs(v_high - target_ml) < 1e-4 * target_ml:
            break
        slope = (v_high - v_low) / (high - low)
        low, v_low = high, v_high
        high = high + (target_ml - v_high) / slope
        v_high = volume_of(high)
    return float(high)
