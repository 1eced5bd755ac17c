"""The cord's networks over an image: grids, windows that follow the centreline, and back."""

import numpy as np
import pytest
import torch

from networks import cord
from networks.cord import CordImage
from networks.cord_detection import SPARSE, Detection

SCALE = np.linspace(0, 1, 11)


def image(shape=(20, 30, 12), voxel_mm=(1.0, 0.8, 3.0), data=None):
    affine = np.diag([*voxel_mm, 1.0])
    affine[:3, 3] = (-7, 5, 40)
    return CordImage(np.zeros(shape) if data is None else data, affine)


def world(affine, voxel):
    return affine[:3, :3] @ voxel + affine[:3, 3]


@pytest.mark.parametrize("step_mm", [0.5, 2.0])
def test_the_grid_covers_the_image(step_mm):
    scan = image()
    grid, affine = scan.grid(step_mm)
    assert grid.voxel_mm == (0.5, 0.5, step_mm)
    assert grid.shape == (40, 48, round(36 / step_mm))
    middle = (np.array(scan.data.shape) - 1) / 2
    assert np.allclose(world(affine, (np.array(grid.shape) - 1) / 2), world(scan.affine, middle))


def test_a_sagittal_scan_is_turned_without_being_resampled_along_other_axes():
    """Axes run posterior, superior, right, as in scans of the whole cervical cord."""
    affine = np.zeros((4, 4))
    affine[1, 0], affine[2, 1], affine[0, 2], affine[3, 3] = -0.8, 0.8, 3.0, 1
    grid, placed = CordImage(np.zeros((50, 60, 10)), affine).grid(2.0)
    assert grid.shape == (60, 80, 24)
    assert np.allclose(np.diag(placed)[:3], (0.5, 0.5, 2.0))


class Bright(torch.nn.Module):
    """Finds what is brighter than its mean."""

    def forward(self, image):
        assert image.shape[1] == 1
        assert image.shape[2] % 4 == image.shape[3] % 4 == 0
        return 20 * (image - 1)


def test_cord_is_detected_where_the_network_sees_it():
    data = np.ones((20, 30, 12))
    data[8:12, 14:18] = 9
    scan = image(data=data)
    found, affine = Detection(scan, Bright()).search()
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    places = np.argwhere(found[:, :, 5] > 0.5)
    middle = world(affine, np.append(places.mean(0), 5))
    assert np.allclose(middle[:2], world(scan.affine, [9.5, 15.5, 5])[:2], atol=0.3)


def test_a_wide_image_is_searched_in_every_third_slice_and_then_along_the_line(monkeypatch):
    data = np.zeros((150, 180, 30))
    data[20:130, 20:160] = 1  # air all around
    z = np.arange(30)
    for index in z:
        data[60 + index : 70 + index, 80:92, index] = 9
    scan = image(data=data, voxel_mm=(1.0, 1.0, 2.0))
    seen = []
    network = Bright()
    network.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    detection = Detection(scan, network)
    assert detection.wide
    sparse, placed = detection.search()
    assert np.linalg.norm(placed[:3, 2]) == pytest.approx(2.0 * SPARSE)
    assert sparse.shape == (300, 360, 10)
    assert sum(shape[0] for shape in seen) == 10
    assert all(shape[2] < 270 and shape[3] < 330 for shape in seen)  # without the air
    places = np.array([np.argwhere(sparse[:, :, k] > 0.5).mean(0) for k in range(10)])
    line = np.column_stack([places, np.arange(10)]) @ placed[:3, :3].T + placed[:3, 3]
    seen.clear()
    near, placed = detection.along(line)
    assert all(shape[2:] == (128, 128) for shape in seen)
    assert near.shape == (300, 360, 30)
    monkeypatch.setattr("networks.cord_detection.NARROW", 10**6)
    whole, same = Detection(scan, network).search()
    assert np.array_equal(placed, same)
    np.testing.assert_allclose(near, whole, atol=0.02)


def test_a_narrow_image_is_searched_in_every_slice():
    detection = Detection(image(), Bright())
    assert not detection.wide
    assert detection.search()[0].shape == (40, 48, 18)


def test_windows_follow_the_centreline():
    line = np.array([[10, 20, 4.0], [14, 20, 8.0], [14, 26, 11.0]])
    centres, first = cord.window_centres(line, slices=40)
    assert first == 4
    assert centres.tolist()[:5] == [[10, 20], [11, 20], [12, 20], [13, 20], [14, 20]]
    assert centres.tolist()[-1] == [14, 26]
    points = cord.window_points(centres, first, 6)
    assert points.shape == (6, 6, 8, 3)
    assert points[3, 3, :, 2].tolist() == list(range(4, 12))
    assert np.array_equal(points[3, 3, :, :2], centres)


def test_a_line_that_leaves_the_image_is_cut():
    line = np.array([[5, 5, -3.0], [5, 5, 50.0]])
    centres, first = cord.window_centres(line, slices=10)
    assert first == 0
    assert len(centres) == 10


def test_a_line_of_one_slice_is_one_window():
    centres, first = cord.window_centres([[5.2, 6.7, 3.0]], slices=10)
    assert first == 3
    assert centres.tolist() == [[5, 7]]


def test_a_window_reads_the_image_at_its_place():
    x, y, z = np.meshgrid(*(np.arange(n, dtype=float) for n in (20, 30, 12)), indexing="ij")
    data = 2 * x + 3 * y + 5 * z
    scan = image(data=data)
    _, affine = scan.grid(0.5)
    points = cord.window_points([[20, 24]] * 3, 30, 4)
    values = cord.read_window(scan, affine, points).numpy()
    for place in ((0, 0, 0), (3, 1, 2)):
        voxel = np.linalg.inv(scan.affine) @ affine @ np.append(points[place], 1)
        assert values[place] == pytest.approx(voxel[:3] @ [2, 3, 5], abs=1e-2)


def test_pasting_undoes_reading():
    centres, first = np.array([[3, 10], [6, 11], [18, 29]]), 2
    shape = (20, 32, 8)
    whole = np.random.default_rng(1).random(shape).astype(np.float32)
    padded = np.pad(whole, 8)
    points = cord.window_points(centres, first, 8).astype(int) + 8
    window = padded[tuple(np.moveaxis(points, -1, 0))]
    back = cord.paste_window(window, centres, first, shape)
    assert np.array_equal(back[back > 0], whole[back > 0])
    assert (back[:7, 6:14, 2] > 0).all()  # the window overhangs the grid
    assert not back[:, :, [0, 1, 5, 6, 7]].any()


def test_probabilities_of_a_window_come_from_standardised_intensities():
    card = {"architecture": {}, "input": {"shape": [16, 16, 12], "scale": SCALE}}
    values = torch.rand(16, 16, 20, generator=torch.Generator().manual_seed(1))
    values[4:12, 4:12] += 3

    class Network(torch.nn.Module):
        def forward(self, patch):
            assert patch.shape[2:] == (16, 16, 12)
            return 60 * (patch - 0.86)

    found = cord.segment_window(values, Network(), card)
    assert found.shape == (16, 16, 20)
    assert (found[7:9, 7:9] > 0.5).mean() > 0.5
    assert not (found[:3] > 0.5).any()
    again = cord.segment_window(100 * values + 7, Network(), card)
    assert np.allclose(found, again, atol=0.01)


def test_an_empty_window_shows_no_cord():
    card = {"architecture": {}, "input": {"shape": [8, 8, 8], "scale": SCALE}}
    assert not cord.segment_window(torch.ones(8, 8, 9), None, card).any()


def test_slices_at_the_ends_are_read_at_full_strength():
    """Half of a slice lies beyond its centre; it is in the acquisition, and in training."""
    scan = image(shape=(10, 10, 3), voxel_mm=(1.0, 1.0, 5.0), data=np.full((10, 10, 3), 7.0))
    grid, affine = scan.grid(0.5)
    assert grid.shape[2] == 30
    values = cord.read_window(scan, affine, cord.window_points([[10, 10]] * 30, 0, 8))
    assert torch.allclose(values, torch.tensor(7.0), atol=1e-4)
    single = image(shape=(10, 10, 1), voxel_mm=(1.0, 1.0, 5.0), data=np.full((10, 10, 1), 7.0))
    values = cord.read_window(single, affine, cord.window_points([[10, 10]] * 10, 0, 8))
    assert torch.allclose(values, torch.tensor(7.0), atol=1e-4)


def test_a_window_of_hardly_any_signal_shows_no_cord():
    card = {"architecture": {}, "input": {"shape": [8, 8, 8], "scale": SCALE}}
    values = torch.zeros(8, 8, 9)
    values[4, 4, 4] = 1
    assert not cord.segment_window(values, None, card).any()


class Above(torch.nn.Module):
    """Finds what is brighter than a threshold in standard deviations."""

    def __init__(self, threshold):
        super().__init__()
        self.threshold = threshold

    def forward(self, patch):
        return 30 * (patch - self.threshold)


def cylinder(affine, shape, middle_mm, radius_mm=5):
    """Share (X, Y, Z) of an upright cord in every voxel; ``middle_mm`` is x and y."""
    fine = 4
    index = np.stack(np.meshgrid(*[(np.arange(n * fine) + 0.5) / fine - 0.5 for n in shape],
                                 indexing="ij"), -1)  # fmt: skip
    places = index @ affine[:3, :3].T + affine[:3, 3]
    inside = ((places[..., :2] - middle_mm) ** 2).sum(-1) <= radius_mm**2
    parts = inside.reshape(shape[0], fine, shape[1], fine, shape[2], fine)
    return parts.mean(axis=(1, 3, 5)).astype(np.float32)


ORIENTATIONS = {
    "axial": ([0, 1, 2], [1, 1, 1]),
    "flipped": ([0, 1, 2], [-1, -1, -1]),
    "sagittal": ([1, 2, 0], [-1, 1, 1]),
}
SIZES = {
    "axial": ((60, 60, 9), (0.8, 0.8, 4.0)),
    "flipped": ((60, 60, 1), (0.8, 0.8, 4.0)),
    "sagittal": ((60, 50, 13), (0.8, 0.8, 3.0)),
}
CARDS = [
    {"architecture": {}, "input": {"shape": [n, n, 48], "scale": [*[0] * 10, 1]}} for n in (64, 48)
]


def oriented(kind):
    """Affine and shape of a scan centred at the origin."""
    axes, signs = ORIENTATIONS[kind]
    shape, voxel_mm = SIZES[kind]
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world_axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[world_axis, axis] = sign * voxel_mm[axis]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine, shape


@pytest.mark.parametrize("kind", sorted(ORIENTATIONS))
def test_a_cord_is_segmented_along_its_line_in_any_orientation(kind):
    affine, shape = oriented(kind)
    share = cylinder(affine, shape, (1, -2))
    scan = CordImage(100 * share, affine)
    line = [[1, -2, z] for z in (-3, -1, 1, 3)]
    found, lesion = cord.segment_along(scan, line, (Above(1.5), CARDS[0]), (Above(99), CARDS[1]))
    assert found.shape == shape
    assert not lesion.any()
    z_mm = (np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3])[..., 2]
    near = np.abs(z_mm) < 7 - (4 if kind == "axial" else 0.8) / 2  # the window is 14 mm long
    assert found[near].sum() == pytest.approx(share[near].sum(), rel=0.1)
    assert (found[near & (share == 1)] > 0.85).all()
    assert (found[np.abs(z_mm) > 10] == 0).all()


def test_lesions_beside_the_cord_are_none():
    affine, shape = oriented("axial")
    share = cylinder(affine, shape, (0, 0))
    everything = (Above(-9), CARDS[1])
    line = [[0, 0, z] for z in (-3, 3)]
    _, lesion = cord.segment_along(
        CordImage(100 * share, affine), line, (Above(1.5), CARDS[0]), everything
    )
    middle = lesion[:, :, 4]
    assert (middle[share[:, :, 4] == 1] > 0.85).all()
    assert not middle[cylinder(affine, shape, (0, 0), radius_mm=6)[:, :, 4] == 0].any()
