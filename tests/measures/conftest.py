"""A brain of boxes with FreeSurfer's labels, and cords of known area and course."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture
def brain() -> np.ndarray:
    """Labels (40, 40, 40) of a box brain; left is x < 20.

    Cortex 3 and 42 (2 voxels thick) round white matter 2 and 41; lateral ventricles 4 and 43 at
    x 14-17 and 22-25, y 12-27, z 20-25, plexus 31 at the floor (z 20) of the left one; below z 12
    cerebellum 8 and 47 (y < 14) and brain stem 16 (y >= 14). Background at the faces (2 voxels).
    """
    labels = np.zeros((40, 40, 40), np.int16)
    labels[2:20, 2:38, 2:38], labels[20:38, 2:38, 2:38] = 3, 42
    labels[4:20, 4:36, 4:36], labels[20:36, 4:36, 4:36] = 2, 41
    labels[14:18, 12:28, 20:26], labels[22:26, 12:28, 20:26] = 4, 43
    labels[14:18, 12:28, 20] = 31
    labels[2:20, 2:14, 2:12], labels[20:38, 2:14, 2:12] = 8, 47
    labels[2:38, 14:38, 2:12] = 16
    return labels


@dataclass(frozen=True)
class CordPhantom:
    """An elliptic cord on a grid: ``soft`` (X, Y, Z) has the share of cord in every voxel."""

    soft: np.ndarray
    voxel_mm: np.ndarray
    centres: np.ndarray  # true centres (Z, 3) in voxels, where the cord crosses the slices' middles
    area_mm2: float
    transverse_mm: float
    ap_mm: float


def draw_cord(
    bend: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    area_mm2: float = 80.0,
    ratio: float = 1.4,
    shape: tuple[int, int, int] = (48, 48, 8),
    voxel_mm: tuple[float, float, float] = (0.7, 0.7, 3.0),
) -> CordPhantom:
    """Draw a cord of ``area_mm2`` at right angles to its centreline, wider than deep by ``ratio``.

    ``bend`` gives x and y (mm from the grid's middle) of the centreline for heights (mm from the
    grid's middle). Partial volume comes from 4 x 4 x 9 samples in the voxels at the edge.
    """
    voxel = np.array(voxel_mm)
    middle = (np.array(shape) - 1) / 2
    ap = np.sqrt(4 * area_mm2 / np.pi / ratio)
    heights = (np.arange(shape[2]) - middle[2]) * voxel[2]
    centres = np.column_stack([*bend(heights), heights]) / voxel + middle

    def gauge(index):  # 0 on the centreline, 1 at the edge
        across, front = offsets_from_curve((index - middle) * voxel, bend)
        return np.hypot(2 * across / (ap * ratio), 2 * front / ap)

    soft = gauge(np.indices(shape).reshape(3, -1).T).reshape(shape)
    edge = np.argwhere(np.abs(soft - 1) < np.linalg.norm(voxel) / ap)  # of half a voxel's diagonal
    soft = (soft < 1).astype(float)
    steps = [(np.arange(n) + 0.5) / n - 0.5 for n in (4, 4, 9)]
    samples = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    soft[tuple(edge.T)] = np.mean([gauge(edge + sample) <= 1 for sample in samples], axis=0)
    return CordPhantom(soft, voxel, centres, area_mm2, ap * ratio, ap)


def offsets_from_curve(points, bend):
    """Transverse and anterior offsets (N,) in mm of points (N, 3) at right angles to a curve."""
    height = points[:, 2]
    for _ in range(2):  # Gauss-Newton steps to the foot of the perpendicular
        ahead, behind = np.array(bend(height + 0.01)), np.array(bend(height - 0.01))
        slope = np.column_stack([*(ahead - behind) / 0.02, np.ones(len(height))])
        gap = points - np.column_stack([*(ahead + behind) / 2, height])
        step = (gap * slope).sum(1) / (slope**2).sum(1)
        height = height + step
    gap -= step[:, None] * slope
    tangent = slope / np.linalg.norm(slope, axis=1, keepdims=True)
    right = np.array([1.0, 0, 0]) - tangent[:, :1] * tangent
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return (gap * right).sum(1), (gap * np.cross(tangent, right)).sum(1)


def straight(tilt_deg: float, towards_deg: float = 90.0):
    """A straight ``bend``, tilted towards an angle from right (0) over anterior (90)."""
    slope, towards = np.tan(np.radians(tilt_deg)), np.radians(towards_deg)
    return lambda z: (z * slope * np.cos(towards), z * slope * np.sin(towards))


@pytest.fixture(scope="session")
def cords() -> SimpleNamespace:
    """The phantoms' two makers: ``draw`` a cord round a ``bend``; ``straight`` makes one."""
    return SimpleNamespace(draw=functools.cache(draw_cord), straight=functools.cache(straight))
