"""Network grids: where they lie and how they are filled."""

import numpy as np
import pytest
import torch

from networks.geometry import InputGrid, antialias, image_axes, normalise, resample_to_grid


def oblique_affine():
    """LPS-ordered, anisotropic and turned by 10 degrees about the left-right axis."""
    angle = np.radians(10)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-0.8, -0.8, 3.0])
    affine[:3, 3] = [40, 30, -50]
    return affine


def test_axes_are_the_image_s_own_in_ras_order():
    axes = image_axes(oblique_affine())
    assert np.allclose(np.diag(axes) > 0.9, True)
    assert np.allclose(np.linalg.norm(axes, axis=0), 1)


def test_resampling_reproduces_a_linear_image():
    affine = oblique_affine()
    shape = (100, 90, 36)
    index = np.indices(shape).reshape(3, -1)
    world = affine[:3, :3] @ index + affine[:3, 3:]
    slope = np.array([0.5, -0.3, 0.8])
    data = (slope @ world).reshape(shape)
    centre = affine[:3, :3] @ (np.array(shape) / 2) + affine[:3, 3]
    grid = InputGrid((24, 24, 16), (0.8, 0.8, 0.8))
    grid_affine = grid.affine(centre, image_axes(affine))
    points = np.indices(grid.shape).reshape(3, -1)
    expected = slope @ (grid_affine[:3, :3] @ points + grid_affine[:3, 3:])
    found = resample_to_grid(data, affine, grid, grid_affine).numpy().ravel()
    assert np.allclose(found, expected, atol=1e-2)


def test_antialias_leaves_coarse_axes_alone():
    rng = np.random.default_rng(1)
    data = rng.normal(size=(20, 20, 20)).astype(np.float32)
    assert np.array_equal(antialias(data, np.array([2.0] * 3), np.array([0.5] * 3)), data)
    blurred = antialias(data, np.array([0.5, 2.0, 2.0]), np.array([2.0] * 3))
    assert blurred.std() < 0.8 * data.std()


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_normalise_ignores_scale_and_air(scale):
    generator = torch.Generator().manual_seed(0)
    tissue = 1 + 0.1 * torch.randn((16, 16, 16), generator=generator)
    small = torch.zeros((32, 32, 32))
    small[:16, :16, :16] = tissue * scale
    found = normalise(small)[:16, :16, :16]
    assert found.mean().abs() < 0.05
    assert (found.std() - 1).abs() < 0.1
    assert normalise(torch.zeros((8, 8, 8))).abs().max() == 0
