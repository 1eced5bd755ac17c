"""Volumes of a label map, and what is not said when it cannot be known."""

import numpy as np
import pytest

from measures.structures import brain_parenchymal_fraction, structure_volumes


def test_volumes_by_side(brain):
    found = structure_volumes(brain, 2.0)
    assert found["structure_lateral_ventricle_left_ml"] == pytest.approx(4 * 16 * 5 * 2 / 1000)
    assert found["structure_lateral_ventricle_right_ml"] == pytest.approx(4 * 16 * 6 * 2 / 1000)
    assert found["structure_lateral_ventricle_ml"] == pytest.approx(4 * 16 * 11 * 2 / 1000)
    assert found["structure_brain_stem_ml"] == pytest.approx(36 * 24 * 10 * 2 / 1000)
    # a box of 36 less ventricles and plexus
    assert found["brain_ml"] == pytest.approx((36**3 - 2 * 4 * 16 * 6) * 2 / 1000)


def test_what_has_no_voxel_is_unknown(brain):
    found = structure_volumes(brain, 1.0)
    assert found["structure_thalamus_ml"] is None
    assert found["deep_gray_matter_ml"] is None
    # plexus on the left alone: half of a pair is no total
    assert found["structure_choroid_plexus_left_ml"] == pytest.approx(0.064)
    assert found["structure_choroid_plexus_right_ml"] is None
    assert found["structure_choroid_plexus_ml"] is None
    brain[brain == 16] = 0
    assert structure_volumes(brain, 1.0)["brain_ml"] is None


def test_a_map_without_sides_has_totals_only(brain):
    for left, right in ((3, 42), (2, 41), (4, 43), (8, 47)):
        brain[brain == right] = left
    found = structure_volumes(brain, 1.0)
    assert found["structure_cortex_left_ml"] is None and found["structure_cortex_right_ml"] is None
    assert found["structure_cortex_ml"] == pytest.approx((brain == 3).sum() / 1000)


def test_lesions_are_tissue_whatever_their_label(brain):
    lesions = np.zeros(brain.shape, np.int32)
    lesions[14:18, 12:22, 22] = 1  # 40 voxels labelled ventricle
    with_lesions = structure_volumes(brain, 1.0, lesions)["brain_ml"]
    assert with_lesions - structure_volumes(brain, 1.0)["brain_ml"] == pytest.approx(0.040)


def test_deep_grey_matter_is_the_sum_of_five():
    labels = np.zeros(30, np.int16)
    labels[:10] = [10, 11, 12, 13, 26, 49, 50, 51, 52, 58]
    labels[10:12] = 17, 53  # hippocampus is not in it
    assert structure_volumes(labels, 1000.0)["deep_gray_matter_ml"] == 10


def test_labels_must_be_integers(brain):
    with pytest.raises(ValueError, match="integers"):
        structure_volumes(brain.astype(float), 1.0)


@pytest.mark.parametrize(
    ("brain_ml", "tiv_ml", "fraction"),
    [
        (1200, 1500, 0.8),
        (None, 1500, None),
        (1200, None, None),
        (1600, 1500, None),
        (0, 1500, None),
    ],
)
def test_brain_parenchymal_fraction(brain_ml, tiv_ml, fraction):
    assert brain_parenchymal_fraction(brain_ml, tiv_ml) == fraction
