import numpy as np
import pytest

from measures import image_checks as checks
from measures.image_checks import ImageError


def one_sentence(error, name="sub-1_T1w.nii.gz"):
    text = str(error.value)
    assert text.startswith(name) and text.endswith(".") and "\n" not in text
    assert ": " in text or ", " in text
    return text


@pytest.mark.parametrize(
    "shape", [(64, 64), (64, 64, 20, 3), (64, 64, 5), (2000, 64, 64), (64, 64, 64, 1, 2)]
)
def test_shapes_refused(shape):
    with pytest.raises(ImageError) as error:
        checks.spatial_shape(shape, "sub-1_T1w.nii.gz")
    one_sentence(error)


def test_a_long_axis_is_refused_by_name_of_its_size():
    with pytest.raises(ImageError, match="x 1500 voxels"):
        checks.spatial_shape((1024, 1024, 1500), "a.nii")


def test_trailing_single_axes_are_dropped():
    assert checks.spatial_shape((64, 60, 20, 1), "a") == (64, 60, 20)
    assert checks.spatial_shape((64, 60, 20, 1, 1), "a") == (64, 60, 20)


@pytest.mark.parametrize("dtype", ["complex64", [("R", "u1"), ("G", "u1"), ("B", "u1")]])
def test_voxels_that_are_no_number(dtype):
    with pytest.raises(ImageError) as error:
        checks.check_dtype(np.dtype(dtype), "sub-1_T1w.nii.gz")
    one_sentence(error)
    checks.check_dtype(np.dtype(">i2"), "a")


def affine(*size):
    return np.diag([*size, 1.0])


SHEARED = affine(1, 1, 3)
SHEARED[1, 2] = 0.2
NOT_FINITE = affine(1, 1, 1)
NOT_FINITE[0, 3] = np.nan


@pytest.mark.parametrize(
    ("matrix", "word"),
    [
        (affine(1, 0, 1), "singular"),
        (np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "singular"),
        (affine(0.01, 1, 1), "voxels of"),
        (affine(1, 1, 12), "voxels of"),
        (affine(1, 1, 9), "9 mm apart"),
        (SHEARED, "sheared"),
        (NOT_FINITE, "not finite"),
    ],
)
def test_affines_refused(matrix, word):
    with pytest.raises(ImageError) as error:
        checks.check_affine(matrix, "sub-1_T1w.nii.gz")
    assert word in one_sentence(error)


def test_oblique_affine_passes_and_gives_voxel_size():
    turn = np.deg2rad(20)
    matrix = np.eye(4)
    matrix[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    matrix[:3, :3] = matrix[:3, :3] @ np.diag([-0.7, 0.7, 3])
    assert checks.check_affine(matrix, "a") == pytest.approx((0.7, 0.7, 3))
    assert checks.slice_thickness_mm(matrix) == pytest.approx(3)


def test_sform_wins_and_a_conflict_is_noted():
    sform, qform = affine(1, 1, 1), affine(1, 1, 1)
    qform[0, 3] = 5
    chosen, source, note = checks.choose_affine(sform, 1, qform, 1, (10, 10, 10))
    assert source == "sform" and (chosen == sform).all() and "5.0 mm" in note
    chosen, source, note = checks.choose_affine(sform, 0, qform, 1, (10, 10, 10))
    assert source == "qform" and (chosen == qform).all() and note == ""
    assert checks.choose_affine(sform, 1, sform, 1, (10, 10, 10))[2] == ""
    chosen, source, note = checks.choose_affine(None, 0, None, 0, (10, 10, 10))
    assert chosen is None and source == "none" and "left and right" in note


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_empty_pictures_refused(value):
    with pytest.raises(ImageError) as error:
        checks.check_values(np.full((10, 10, 10), value, np.float32), "sub-1_T1w.nii.gz")
    one_sentence(error)


def ball(shape, size, radii, value=100.0):
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    world = (grid - (np.array(shape) - 1) / 2) * np.asarray(size)
    return np.where((((world / np.asarray(radii)) ** 2).sum(-1)) < 1, value, 0).astype(np.float32)


def test_extent_follows_the_patient_not_the_array():
    # array axes: A-P, S-I, L-R
    matrix = np.array([[0, 0, 2, 0], [2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1.0]])
    data = ball((100, 90, 80), (2, 2, 2), (80, 60, 36))
    extent = checks.anatomical_extent(data, matrix)
    assert extent["anterior-posterior"] > extent["superior-inferior"] > extent["left-right"]
    with pytest.raises(ImageError) as error:
        checks.check_brain_coverage(data, matrix, "sub-1_T1w.nii.gz")
    assert "cord or cropped" in one_sentence(error)


def test_brain_extraction_is_recognised():
    size = (2, 2, 3)
    brain = ball((96, 110, 60), size, (66, 82, 60))  # 1.36 L
    assert checks.is_brain_extracted(brain, size)
    rng = np.random.default_rng(0)
    ringing = np.where(brain == 0, 0, brain) + 0.0
    ringing[(brain == 0) & (np.roll(brain, 1, 0) > 0)] = -0.3
    assert checks.is_brain_extracted(ringing, size)
    head = ball((96, 110, 60), size, (86, 100, 80))  # cut by the grid, 2.8 L
    assert not checks.is_brain_extracted(head, size)
    noisy = brain + rng.rayleigh(2, brain.shape).astype(np.float32)
    assert not checks.is_brain_extracted(noisy, size)
    assert not checks.is_brain_extracted(np.zeros((20, 20, 20)))


def test_mask_flag():
    assert checks.mask_flag(1400, 5.0) == "ok"
    assert "300 ml" in checks.mask_flag(300, 5.0)
    assert "1.0 times" in checks.mask_flag(1400, 1.0)
    assert checks.mask_flag(float("nan"), 5.0) != "ok"
    assert checks.mask_flag(1400, float("nan")) != "ok"


def test_mask_contrast():
    data = ball((30, 30, 30), (1, 1, 1), (8, 8, 8))
    assert checks.mask_contrast(data, data > 0) == np.inf
    assert checks.mask_contrast(np.ones(data.shape), data > 0) == 1
    assert np.isnan(checks.mask_contrast(data, data > 1e9))
