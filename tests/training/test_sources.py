"""Real sources: labels on a T1w carried into FLAIR space by an ITK transform."""

import nibabel as nib
import numpy as np
import pytest

from networks.geometry import InputGrid
from training.deepgrai import draw
from training.sources import find_real_sources, read_itk_affine
from training.synthesis import seeded

GEOMETRY = {"crop_mm": None, "voxel_mm": (2.0, 2.0, 2.0)}


@pytest.fixture
def dataset(tmp_path):
    """A FLAIR whose bright block lies 5 mm to the right of where the T1w's labels have it."""
    flair = np.zeros((64, 64, 40), np.float32)
    flair[8:56, 8:56, 6:34] = 50
    flair[25:35, 25:40, 15:25] = 100
    labels = np.zeros((64, 64, 40), np.int16)
    labels[8:56, 8:56, 6:34] = 2
    labels[20:30, 25:40, 15:25] = 10
    anat, derived = tmp_path / "bids/sub-1/anat", tmp_path / "labels/sub-1/anat"
    moved = tmp_path / "xfm/sub-1/anat"
    for folder in (anat, derived, moved):
        folder.mkdir(parents=True)
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    nib.Nifti1Image(flair, affine).to_filename(anat / "sub-1_FLAIR.nii.gz")
    nib.Nifti1Image(labels, affine).to_filename(derived / "sub-1_space-T1w_seg-x_dseg.nii.gz")
    # Points of the FLAIR to points of the T1w: 5 mm to the left in RAS is +5 in ITK's LPS.
    (moved / "sub-1_from-T1w_to-FLAIR_mode-image_xfm.txt").write_text(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        "Parameters: 1 0 0 0 1 0 0 0 1 5 0 0\nFixedParameters: 0 0 0\n"
    )
    return tmp_path


def test_transform_is_read_as_ras(dataset):
    matrix = read_itk_affine(next((dataset / "xfm").rglob("*.txt")))
    assert np.allclose(matrix @ [10, 0, 0, 1], [5, 0, 0, 1])


def test_labels_follow_the_transform(dataset):
    sources = find_real_sources(
        dataset / "bids", dataset / "labels", dataset / "xfm", ["1"], **GEOMETRY
    )
    assert len(sources) == 1
    assert np.allclose(sources[0].thalamus_centre_mm, [29.5, 32, 19.5], atol=0.01)
    image, target = draw(sources[0], 1, InputGrid((64, 64, 32), (1.0,) * 3), seeded(1, 0), 1.0)
    inside, around = image[target > 0], image[(target == 0) & (image > -1)]
    assert inside.numel() > 100
    assert inside.median() > around.median() + 0.5


def test_unaligned_images_of_different_grids_are_refused(dataset):
    path = next((dataset / "labels").rglob("*.nii.gz"))
    nib.Nifti1Image(np.zeros((9, 9, 9), np.int16), np.eye(4)).to_filename(path)
    with pytest.raises(ValueError, match="register them first"):
        find_real_sources(dataset / "bids", dataset / "labels", None, ["1"], **GEOMETRY)


def test_subjects_not_named_are_left_out(dataset):
    args = (dataset / "bids", dataset / "labels", dataset / "xfm", ["2"])
    assert find_real_sources(*args, **GEOMETRY) == []
