"""Where a synthetic scan is read from its source: pose, size, shape, atrophy.

All maps are smooth, so they are made on a lattice of every fourth voxel of the network's grid with
the grid's own corners. They are pull-backs: for a point of the sample, the point of the source.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import grid_sample, interpolate

from networks.geometry import InputGrid
from training.randomness import chance, rand, randn, uniform


@dataclass(frozen=True)
class View:
    """How far a sample may be moved and changed.

    ``jitter_mm``: shift of the field of view in each direction; ``warp_mm``: SD of the random
    velocity field; ``stretch``: range of the linear atrophy (positive) or growth of each thalamus.
    """

    jitter_mm: tuple[float, float, float]
    warp_mm: float
    rotation_deg: float = 18.0
    scaling: float = 0.14
    shear: float = 0.06
    stretch: tuple[float, float] = (-0.12, 0.25)


def smooth_noise(shape, nodes, generator, channels: int = 1):
    """Smooth random field (channels, X, Y, Z) of unit variance at its control points.

    ``nodes``: how many there are along every axis, one number or three.
    """
    counts = (nodes,) * 3 if isinstance(nodes, int) else nodes
    coarse = randn((1, channels, *counts), generator)
    return interpolate(coarse, size=tuple(shape), mode="trilinear", align_corners=True)[0]


def random_affine(generator, rotation_deg: float, scaling: float, shear: float):
    """Random 3x3: rotations about the three axes, anisotropic scaling, shear, left-right flip."""
    device = generator.device
    matrix = torch.eye(3, device=device)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        angle = math.radians(uniform(generator, -rotation_deg, rotation_deg))
        turn = torch.eye(3, device=device)
        turn[first, first] = turn[second, second] = math.cos(angle)
        turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
        matrix = matrix @ turn
    common = uniform(generator, 1 - scaling, 1 + scaling)
    scales = [common * uniform(generator, 0.94, 1.06) for _ in range(3)]
    matrix = matrix @ torch.diag(torch.tensor(scales, device=device))
    matrix = matrix @ (torch.eye(3, device=device) + shear * (2 * rand((3, 3), generator) - 1))
    if chance(generator, 0.5):
        matrix = torch.diag(torch.tensor([-1.0, 1.0, 1.0], device=device)) @ matrix
    return matrix


def integrate(velocity_mm, spacing_mm, steps: int = 4):
    """Displacement (3, X, Y, Z) in mm of a stationary velocity field: scaling and squaring.

    ``spacing_mm`` is the lattice's spacing along each axis. The flow of a smooth field is
    invertible, so no structure is torn or folded (Arsigny 2006, doi:10.1007/11866565_113).
    """
    shape = torch.tensor(velocity_mm.shape[1:], device=velocity_mm.device)
    axes = [torch.linspace(-1, 1, int(n), device=velocity_mm.device) for n in shape]
    identity = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    spacing = torch.as_tensor(spacing_mm, dtype=torch.float32, device=velocity_mm.device)
    to_unit = 2 / ((shape - 1) * spacing)
    flow = velocity_mm / 2**steps
    for _ in range(steps):
        places = identity + flow.movedim(0, -1) * to_unit
        moved = grid_sample(
            flow[None], places.flip(-1)[None], padding_mode="border", align_corners=True
        )
        flow = flow + moved[0]
    return flow


def shrink(points, centre_mm, lateral, stretch: float, reach_mm: float = 13.0):
    """Atrophy (``stretch`` > 0) or growth of what lies around ``centre_mm``: moved points.

    ``points`` (3, X, Y, Z) are the places (mm) an image is read at; they are pulled away from an
    anchor 8 mm lateral (unit vector ``lateral``) of the centre with a weight that falls off as a
    Gaussian, so what is medial and dorsal (the ventricles) widens, the internal capsule hardly
    moves and no structure is torn: the map is monotone while ``stretch`` stays below 0.5.
    """
    away = points - centre_mm[:, None, None, None]
    weight = torch.exp(-(away**2).sum(0) / reach_mm**2)
    return points + stretch * weight * (away - 8.0 * lateral[:, None, None, None])


def atrophy(points, side_centres_mm, stretch: tuple[float, float], generator):
    """Shrink or grow each thalamus by itself, in half of the samples."""
    sides = torch.as_tensor(side_centres_mm, dtype=torch.float32, device=generator.device)
    lateral = (sides[1] - sides[0]) / torch.linalg.norm(sides[1] - sides[0])
    for centre, direction in zip(sides, (-lateral, lateral), strict=True):
        if chance(generator, 0.5):
            points = shrink(points, centre, direction, uniform(generator, *stretch))
    return points


def random_view(source, centre_mm, grid: InputGrid, view: View, generator):
    """World mm of the source for a coarse lattice of the grid's voxels: (3, x, y, z).

    Random pose, size, diffeomorphic shape, atrophy of the thalami and place of the field of view
    about ``centre_mm``; ``resize`` brings it to the grid's own resolution.
    """
    device = generator.device
    lattice = [n // 4 + 1 for n in grid.shape]
    half_mm = [(n - 1) / 2 * mm for n, mm in zip(grid.shape, grid.voxel_mm, strict=True)]
    axes = [torch.linspace(-h, h, n, device=device) for h, n in zip(half_mm, lattice, strict=True)]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    jitter = torch.tensor([uniform(generator, -r, r) for r in view.jitter_mm], device=device)
    velocity = smooth_noise(lattice, 6, generator, channels=3)
    velocity = velocity * uniform(generator, 0, view.warp_mm)
    spacing = [2 * h / (n - 1) for h, n in zip(half_mm, lattice, strict=True)]
    pose = random_affine(generator, view.rotation_deg, view.scaling, view.shear)
    local = transform(pose, offsets + jitter[:, None, None, None])
    local = local + integrate(velocity, spacing)
    turn = torch.as_tensor(source.axes, dtype=torch.float32, device=device)
    centre = torch.as_tensor(centre_mm, dtype=torch.float32, device=device)
    points = transform(turn, local) + centre[:, None, None, None]
    return atrophy(points, source.side_centres_mm, view.stretch, generator)


def transform(matrix, points):
    """Apply a 3x3 matrix to points (3, X, Y, Z)."""
    return torch.einsum("ij,jxyz->ixyz", matrix, points)


def resize(field, shape):
    """Trilinear resize of (C, X, Y, Z) that keeps the corners in place."""
    size = tuple(shape)
    return interpolate(field[None], size=size, mode="trilinear", align_corners=True)[0]
