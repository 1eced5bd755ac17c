"""Volumes of a head made by hand, and every reason not to believe them."""

from dataclasses import replace

import numpy as np
import pytest

from measures import head

SHAPE = (88, 104, 104)  # 2 mm
THALAMI = [f"thalamus_t1w_{side}ml" for side in ("left_", "right_", "", "left_soft_")]


def ellipsoid(world, centre, radii):
    return (((world - np.array(centre)) / radii) ** 2).sum(-1) < 1


@pytest.fixture(scope="module")
def whole():
    """Labels and scan of a whole head with its cord, on a 2 mm RAS grid."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -(np.array(SHAPE) - 1.0)
    world = np.moveaxis(np.indices(SHAPE), 0, -1) @ affine[:3, :3] + affine[:3, 3]
    labels = np.zeros(SHAPE, np.uint8)
    labels[ellipsoid(world, (0, 0, 10), (65, 80, 65))] = head.INTRACRANIAL
    cord = (np.hypot(world[..., 0], world[..., 1]) < 9) & (world[..., 2] < 0)
    labels[cord] = head.INTRACRANIAL
    for sign, label in ((-1, head.LEFT), (1, head.RIGHT)):
        labels[ellipsoid(world, (sign * 26, 0, 0), (7, 20, 8))] = head.DEEP_GRAY
        labels[ellipsoid(world, (sign * 11, 0, 0), (8, 15, 10))] = label
    skin = ellipsoid(world, (0, 0, 10), (80, 96, 82)) | (np.hypot(*world[..., :2].T).T < 50)
    data = np.where(skin, 100, 0).astype(np.float32)
    data[(world[..., 2] < -20) & ~cord & (np.hypot(world[..., 0], world[..., 1]) > 60)] = 0
    return labels, head.Scan(data, affine, 2.0, brain_extracted=False)


def measure(labels, scan, clipped=False, certainty=1.0):
    """The measures where every label has the probability ``certainty``."""
    probability = np.stack([labels == n for n in (1, 2, 3, 4)]).astype(np.float32) * certainty
    return head.head_measures(probability, labels, clipped, scan)


def crop(labels, scan, *slices):
    """Labels and scan of a smaller field of view."""
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [s.start or 0 for s in slices]
    return labels[slices], replace(scan, data=scan.data[slices], affine=affine)


def test_volumes_of_a_whole_head(whole):
    labels, scan = whole
    found = measure(labels, scan, certainty=0.9)
    ml = {n: (labels == n).sum() * 0.008 for n in (1, 2, 3, 4)}
    assert [found[f] for f in found if f.startswith("qc_")] == ["ok"] * 3
    assert found["thalamus_t1w_left_ml"] == pytest.approx(ml[1])
    assert found["thalamus_t1w_ml"] == pytest.approx(ml[1] + ml[2])
    assert found["thalamus_t1w_right_soft_ml"] == pytest.approx(0.9 * ml[2], rel=1e-5)
    assert found["deep_gray_matter_ml"] == pytest.approx(0.9 * (ml[1] + ml[2] + ml[3]), rel=1e-5)
    assert found["tiv_ml"] == pytest.approx(0.9 * sum(ml.values()), rel=1e-5)
    assert found["thalamus_t1w_fraction"] == pytest.approx(
        (ml[1] + ml[2]) / sum(ml.values()), rel=1e-5
    )
    assert found["thalamus_t1w_asymmetry"] == pytest.approx(0, abs=1e-6)


def smaller(labels):
    labels[labels == head.LEFT] = 0
    labels[labels == head.RIGHT] = 0


def one_sided(labels):
    where = np.argwhere(labels == head.RIGHT)
    labels[tuple(where[: len(where) * 2 // 3].T)] = head.INTRACRANIAL


def mirrored(labels):
    labels[:] = np.choose(labels, [0, 2, 1, 3, 4])


@pytest.mark.parametrize(
    ("change", "word"),
    [(smaller, "0.0 mL is outside"), (one_sided, "one side"), (mirrored, "left of the right")],
)
def test_implausible_thalami_take_the_deep_grey_with_them_only(whole, change, word):
    labels, scan = whole[0].copy(), whole[1]
    change(labels)
    found = measure(labels, scan)
    assert word in found["qc_thalamus_t1w_flag"]
    assert all(found[name] is None for name in THALAMI)
    assert found["thalamus_t1w_fraction"] is None
    assert found["deep_gray_matter_ml"] is None
    assert found["qc_deep_gray_matter_flag"] != "ok"
    assert found["qc_tiv_flag"] == "ok"
    assert found["tiv_ml"] > 1000


def test_thick_slices(whole):
    found = measure(whole[0], replace(whole[1], slice_thickness_mm=7.0))
    assert "thicker" in found["qc_thalamus_t1w_flag"]
    assert found["thalamus_t1w_ml"] is None


def test_too_little_deep_grey(whole):
    labels = np.where(whole[0] == head.DEEP_GRAY, head.INTRACRANIAL, whole[0]).astype(np.uint8)
    found = measure(labels, whole[1])
    assert "outside 12-70 mL" in found["qc_deep_gray_matter_flag"]
    assert found["deep_gray_matter_ml"] is None
    assert found["thalamus_t1w_ml"] > 9


@pytest.mark.parametrize(
    ("slices", "thalamus_is_cut", "deep_gray_is_cut"),
    [
        ((slice(None), slice(None), slice(None, 80)), False, False),
        ((slice(16, None), slice(None), slice(None)), False, False),
        ((slice(None), slice(None, 86), slice(None)), False, False),
        ((slice(None), slice(None), slice(36, None)), False, False),
        ((slice(None), slice(44, None), slice(None)), False, True),
        ((slice(None), slice(46, None), slice(None)), True, True),
    ],
    ids=["top", "left", "front", "bottom", "deep grey", "thalamus"],
)
@pytest.mark.parametrize("padded", [False, True])
def test_a_cut_head_has_no_intracranial_volume(
    whole, slices, thalamus_is_cut, deep_gray_is_cut, padded
):
    if padded:  # the same grid as before, with zeros where nothing was imaged
        seen = np.zeros(SHAPE, bool)
        seen[slices] = True
        labels = np.where(seen, whole[0], 0).astype(np.uint8)
        scan = replace(whole[1], data=np.where(seen, whole[1].data, 0))
    else:
        labels, scan = crop(*whole, *slices)
    found = measure(labels, scan)
    assert found["qc_tiv_flag"] == "the field of view cuts the head"
    assert found["tiv_ml"] is None
    assert found["thalamus_t1w_fraction"] is None
    assert ("cut" in found["qc_thalamus_t1w_flag"]) == thalamus_is_cut
    assert (found["thalamus_t1w_ml"] is None) == thalamus_is_cut
    assert (found["deep_gray_matter_ml"] is None) == deep_gray_is_cut


def test_the_cord_may_leave_at_the_bottom_but_not_elsewhere(whole):
    labels, scan = whole
    areas = head.edge_areas(labels > 0, scan.affine, head.imaged_box(scan.data, scan.affine))
    assert 200 < areas.pop("inferior") < head.LARGEST_CORD_MM2
    assert not any(areas.values())
    upside_down = np.diag([1.0, -1.0, -1.0, 1.0]) @ scan.affine
    found = measure(labels, replace(scan, affine=upside_down))
    assert found["qc_tiv_flag"] == "the field of view cuts the head"


def test_faces_are_named_in_world_space():
    mask = np.zeros((6, 6, 6), bool)
    mask[0, 2:4, 2:4] = True
    affine = np.array([[0, -1.5, 0, 0], [0, 0, 2, 0], [-3, 0, 0, 0], [0, 0, 0, 1.0]])
    areas = head.edge_areas(mask, affine, np.array([(0, 6)] * 3))
    assert areas.pop("superior") == pytest.approx(4 * 1.5 * 2)
    assert not any(areas.values())


def test_a_segmentation_that_stops_short_of_the_edge_is_cut():
    mask = np.zeros((40, 40, 40), bool)
    mask[10:30, 10:30, 10:39] = True
    areas = head.edge_areas(mask, np.eye(4), np.array([(0, 40)] * 3))
    assert areas["superior"] == 400
    mask[:, :, 37:] = False
    assert not any(head.edge_areas(mask, np.eye(4), np.array([(0, 40)] * 3)).values())


@pytest.mark.parametrize(
    ("changes", "clipped", "scale", "word"),
    [
        ({"brain_extracted": True}, False, 1.0, "brain-extracted"),
        ({}, True, 1.0, "cuts the head"),
        ({}, False, 0.75, "outside 700-2200 mL"),
        ({}, False, 1.2, "outside 700-2200 mL"),
    ],
)
def test_untrustworthy_intracranial_volumes(whole, changes, clipped, scale, word):
    labels, scan = whole
    scan = replace(scan, affine=scan.affine @ np.diag([scale] * 3 + [1.0]), **changes)
    found = measure(labels, scan, clipped)
    assert word in found["qc_tiv_flag"]
    assert found["tiv_ml"] is None
    assert found["thalamus_t1w_fraction"] is None
    assert found["qc_thalamus_t1w_flag"] == "ok"
    assert found["thalamus_t1w_ml"] > 4


def test_no_head_gives_flags_and_no_numbers():
    found = head.not_found("no brain was found")
    assert set(found.values()) == {"no brain was found"}
    assert all(name.startswith("qc_") for name in found)


def test_an_empty_image_has_the_box_of_its_grid():
    box = head.imaged_box(np.zeros((3, 4, 5)), np.eye(4))
    assert box.tolist() == [[0, 3], [0, 4], [0, 5]]


@pytest.mark.parametrize("thickness_mm", [1.0, 3.0, 5.0])
@pytest.mark.parametrize("cut", [0, 10, 30])
def test_a_round_head_in_zero_air_keeps_its_grid_and_a_cut_one_does_not(thickness_mm, cut):
    """A ball of 80 mm, ``cut`` mm of it missing at the top, as slices along z."""
    affine = np.diag([2.0, 2.0, thickness_mm, 1.0])
    height = np.arange(-100, 100, thickness_mm)
    plane = np.moveaxis(np.indices((100, 100)), 0, -1) * 2.0 - 99
    data = (plane**2).sum(-1)[..., None] + height**2 < 80**2
    data &= height <= 80 - cut
    box = head.imaged_box(data.astype(np.float32), affine)
    last = np.flatnonzero(data.any((0, 1)))[-1] + 1
    assert box.tolist() == [[0, 100], [0, 100], [0, last if cut else height.size]]
