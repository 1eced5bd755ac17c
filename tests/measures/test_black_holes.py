"""T1-hypointense fractions, and images that cannot give them."""

import numpy as np
import pytest

from measures.black_holes import hypointense_fractions, hypointensity_threshold


@pytest.fixture
def t1w(brain) -> np.ndarray:
    """White matter of 200, grey matter of 120, fluid of 20, with noise of 5."""
    image = np.full(brain.shape, 20.0)
    image[np.isin(brain, (2, 41, 16))], image[np.isin(brain, (3, 42, 8, 47))] = 200, 120
    return image + np.random.default_rng(0).normal(0, 5, brain.shape)


def test_as_dark_as_cortex_is_hypointense(brain, t1w):
    lesions = np.zeros(brain.shape, np.int32)
    lesions[8:12, 8, 15], lesions[8:12, 8, 30], lesions[8:12, 8, 34] = 1, 2, 3
    t1w[8:9, 8, 15], t1w[8:12, 8, 30] = 100, 60
    t1w[8, 8, 34], t1w[9, 8, 34] = np.nan, 50
    threshold, flag = hypointensity_threshold(t1w, lesions, brain, 1.0)
    assert flag == "ok" and threshold == pytest.approx(120, abs=1)
    # 1 of 4; 4 of 4; 1 of the 3 that are known
    assert hypointense_fractions(t1w, lesions, threshold) == pytest.approx([0.25, 1, 1 / 3])
    t1w[lesions == 3] = np.nan
    assert hypointense_fractions(t1w, lesions, threshold)[2] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda image, labels: (-image, labels), "not brighter than cortex"),
        (lambda image, labels: (np.full_like(image, 7), labels), "not brighter than cortex"),
        (lambda image, labels: (image * np.nan, labels), "too little cerebral white matter"),
        (lambda image, labels: (image, np.where(labels == 3, 2, labels) % 42), "too little cortex"),
        (lambda image, labels: (image, None), "no structures"),
    ],
)
def test_images_that_cannot_tell(brain, t1w, change, message):
    image, labels = change(t1w, brain)
    threshold, flag = hypointensity_threshold(image, np.zeros(brain.shape, np.int32), labels, 1.0)
    assert threshold is None and message in flag
