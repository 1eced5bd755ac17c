"""Every bad image is refused with one sentence; whatever its header says, nothing else happens."""

import resource
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interfaces.images import read_checked
from measures.image_checks import ImageError
from tests.bids_app import bad_input


@pytest.mark.parametrize("name", bad_input.IMAGES)
def test_a_bad_image_gets_one_sentence(name, tmp_path):
    path = tmp_path / f"sub-{name}_FLAIR.nii.gz"
    bad_input.IMAGES[name].write(path)
    with pytest.raises(ImageError) as error:
        read_checked(path)
    text = str(error.value)
    assert text.startswith(path.name) and text.endswith(".") and "\n" not in text
    assert bad_input.IMAGES[name].words in text
    assert ": " in text  # what is wrong: what to do


def test_the_head_of_the_corpus_is_good(tmp_path):
    """The bad images are refused for what is wrong with them, not for what they are made from."""
    bad_input.write_head(tmp_path / "sub-1_FLAIR.nii.gz")
    data, affine, note = read_checked(tmp_path / "sub-1_FLAIR.nii.gz")
    assert data.shape == (49, 57, 49) and note == ""
    assert (np.abs(np.diag(affine)[:3]) == 4).all()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The bytes of a good image, and a file to write them to."""
    path = tmp_path_factory.mktemp("fuzz") / "sub-1_FLAIR.nii"
    bad_input.write_head(path)
    return path.read_bytes(), path


BYTES = st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=12)
ODD = st.sampled_from([0, 0x7F800000, 0x7FC00000, 0xFFFFFFFF, 1, 0x7F])
WORDS = st.lists(st.tuples(st.integers(0, 87), ODD), max_size=3)


@settings(
    max_examples=300, deadline=5000, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(changes=BYTES, words=WORDS, brain=st.booleans())
def test_any_header_is_read_or_refused(plain, changes, words, brain):
    """Random bytes, and words that are 0, infinite, not a number or -1, anywhere in the header."""
    good, path = plain
    raw = bytearray(good)
    for place, word in words:
        raw[4 * place : 4 * place + 4] = word.to_bytes(4, "little")
    for place, value in changes:
        raw[place] = value
    path.write_bytes(raw)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data, affine, _ = read_checked(path, brain=brain)
        except ImageError as error:
            assert str(error).startswith(path.name)
        else:
            assert data.ndim == 3 and data.dtype == np.float32 and np.isfinite(data).all()
            assert np.isfinite(affine).all() and abs(np.linalg.det(affine)) > 0
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 100_000
