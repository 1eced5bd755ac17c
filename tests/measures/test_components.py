"""Components of a mask: which voxels belong together, which are too few, and in what order."""

import numpy as np
import pytest

from measures.components import bounding_box, label_components, voxel_geometry


def test_edges_join_and_corners_do_not():
    mask = np.zeros((6, 6, 6), bool)
    mask[1, 1, 1] = mask[1, 2, 2] = True  # share an edge
    assert label_components(mask, 1, 0).max() == 1
    mask[2, 3, 3] = True  # shares a corner with the second
    labels = label_components(mask, 1, 0)
    assert (labels.max(), labels[1, 1, 1], labels[1, 2, 2], labels[2, 3, 3]) == (2, 1, 1, 2)


@pytest.mark.parametrize(
    ("voxel_mm3", "voxels", "kept"),
    [
        (1.0, 3, True),
        (1.0, 2, False),
        (3.0, 1, True),
        (2.9999998, 1, True),  # 3 in single precision
        (2.9, 1, False),
        (0.125, 24, True),
        (0.125, 23, False),
    ],
)
def test_least_volume_is_in_mm3(voxel_mm3, voxels, kept):
    mask = np.zeros((30, 3, 3), bool)
    mask[1 : 1 + voxels, 1, 1] = True
    assert label_components(mask, voxel_mm3).any() == kept


def test_largest_first_then_by_position():
    mask = np.zeros((9, 9, 9), bool)
    mask[0, 0, :4] = mask[4, 4, :4] = mask[8, :, 8] = True
    labels = label_components(mask, 1)
    assert (labels[8, 0, 8], labels[0, 0, 0], labels[4, 4, 0]) == (1, 2, 3)
    assert labels.dtype == np.int32 and np.array_equal(labels > 0, mask)


def test_empty_mask_has_no_component_and_a_whole_box():
    empty = np.zeros((4, 5, 6), bool)
    assert not label_components(empty, 1).any()
    assert empty[bounding_box(empty)].shape == empty.shape


def test_geometry_of_turned_anisotropic_voxels():
    angle = np.deg2rad(30)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-1, 2, 5])
    size, volume = voxel_geometry(affine)
    assert size == pytest.approx([1, 2, 5])
    assert volume == pytest.approx(10)
