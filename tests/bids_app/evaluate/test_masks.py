"""Grids are held to one another, and files that do not fit are named."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from bids_app.evaluate import MASK_MEASURES
from bids_app.evaluate.masks import ComparisonError, load_pair, measure_masks

BOX = ((2, 6), (2, 6), (2, 6))


def test_measures_of_two_boxes(write_mask):
    pair = load_pair(write_mask("a.nii.gz", BOX), write_mask("b.nii.gz", ((4, 8), (2, 6), (2, 6))))
    masks = (pair.pred.mask(None, 0.5), pair.ref.mask(None, 0.5))
    assert pair.volume_ml(masks[0]) == pytest.approx(64 * 8 / 1000)
    found = measure_masks(pair, *masks, list(MASK_MEASURES))
    assert list(found) == list(MASK_MEASURES)
    assert found["dice"] == found["true_positive_rate"] == 0.5
    assert found["false_positive_rate"] == pytest.approx(32 / (960 - 64))
    assert found["hausdorff_mm"] == 2
    assert found["volume_difference_percent"] == 0
    window = measure_masks(pair, *masks, ["false_positive_rate"], window_mm=4)
    assert window["false_positive_rate"] == pytest.approx(32 / (12 * 8 * 6 - 64))


def test_flipped_and_permuted_grids_are_the_same(write_mask):
    image = nib.load(write_mask("a.nii.gz", BOX))
    turned = image.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    assert nib.aff2axcodes(turned.affine) != ("R", "A", "S")
    other = write_mask("b.nii.gz", values=np.asarray(turned.dataobj), affine=turned.affine)
    pair = load_pair(write_mask("a.nii.gz", BOX), other)
    assert np.array_equal(pair.pred.values, pair.ref.values) and pair.pred.values.any()
    assert pair.voxel_mm == pytest.approx([1, 2, 4])


@pytest.mark.parametrize(("shift", "fits"), [(5e-4, True), (5e-3, False)])
def test_affines_may_differ_by_rounding_only(write_mask, shift, fits):
    affine = np.diag([1.0, 2, 4, 1])
    affine[0, 3] = shift
    paths = write_mask("a.nii.gz", BOX), write_mask("b.nii.gz", BOX, affine=affine)
    if fits:
        load_pair(*paths)
    else:
        with pytest.raises(
            ComparisonError, match=r"a\.nii\.gz and .*b\.nii\.gz have different aff"
        ):
            load_pair(*paths)


def test_shapes_must_agree(write_mask):
    paths = write_mask("a.nii.gz", BOX), write_mask("b.nii.gz", values=np.zeros((12, 10, 9)))
    with pytest.raises(ComparisonError, match=r"a\.nii\.gz and .*b\.nii\.gz.*12 x 10 x 9"):
        load_pair(*paths)


def test_trailing_dimensions_of_one_are_dropped(write_mask):
    flat = write_mask("b.nii.gz", values=np.ones((12, 10, 8, 1), np.uint8))
    assert load_pair(write_mask("a.nii.gz", BOX), flat).ref.values.shape == (12, 10, 8)
    two = write_mask("c.nii.gz", values=np.ones((12, 10, 8, 2), np.uint8))
    with pytest.raises(ComparisonError, match="4 dimensions"):
        load_pair(two, two)


def test_a_file_that_is_no_image_is_named(write_mask, tmp_path):
    cut = tmp_path / "cut.nii.gz"
    whole = write_mask("a.nii.gz", values=np.random.default_rng(0).random((12, 10, 8)))
    cut.write_bytes(whole.read_bytes()[:3000])
    text = tmp_path / "text.nii.gz"
    text.write_text("/annex/objects/MD5E-s1--0")
    for path in (cut, text):
        with pytest.raises(ComparisonError, match=path.name):
            load_pair(whole, path)


def test_probabilities_have_a_threshold_and_no_labels(write_mask):
    values = np.full((12, 10, 8), 0.3, np.float32)
    values[:2], values[2:3] = 0.5, np.nan
    pred = load_pair(*[write_mask("sub-1_probseg.nii.gz", values=values)] * 2).pred
    assert np.count_nonzero(pred.mask(None, 0.5)) == 160
    assert np.count_nonzero(pred.mask(None, 0.2)) == 880
    with pytest.raises(ComparisonError, match="probabilities"):
        pred.mask((1,), 0.5)
    blurred = write_mask("sub-1_dseg.nii.gz", values=values)
    with pytest.raises(ComparisonError, match="no labels"):
        load_pair(blurred, blurred)


def test_labels_stored_as_floats_are_labels(write_mask):
    values = np.zeros((12, 10, 8), np.float32)
    values[0], values[1] = 10.0001, 49
    pred = load_pair(*[write_mask("sub-1_dseg.nii.gz", values=values)] * 2).pred
    assert np.count_nonzero(pred.mask((10,), 0.5)) == 80
    assert np.count_nonzero(pred.mask((10, 49), 0.5)) == 160
