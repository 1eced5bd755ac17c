"""Disc labels are found beside the image's name only where they are its own."""

import pytest

from bids_app.discs import find_disc_labels


@pytest.fixture
def dataset(tmp_path):
    image = tmp_path / "bids" / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_acq-c_T2w.nii.gz"
    image.parent.mkdir(parents=True)
    image.touch()
    return tmp_path, image


def derive(root, name, labels="labels"):
    folder = root / labels / "sub-01" / "ses-1" / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
    return folder / name


@pytest.mark.parametrize(
    ("ending", "own"),
    [
        ("acq-c_T2w_label-discs_dlabel.nii.gz", True),
        ("acq-c_T2w_label-disc_dseg.nii", True),
        ("acq-c_space-T2w_label-discs_desc-manual_dseg.nii.gz", True),
        ("acq-c_space-orig_label-disc_dseg.nii.gz", True),
        ("acq-c_label-discs_dseg.nii.gz", True),
        ("acq-c_T1w_label-discs_dlabel.nii.gz", False),
        ("acq-c_space-PAM50_label-discs_dseg.nii.gz", False),
        ("acq-cspine_T2w_label-discs_dlabel.nii.gz", False),
        ("acq-c_run-2_T2w_label-discs_dlabel.nii.gz", False),
        ("acq-c_T2w_label-SC_mask.nii.gz", False),
        ("acq-c_T2w_label-discs_dlabel.json", False),
    ],
)
def test_names(dataset, ending, own):
    root, image = dataset
    path = derive(root, f"sub-01_ses-1_{ending}")
    found = find_disc_labels(image, root / "bids", [root / "labels"])
    assert found == (path if own else None)


def test_the_first_dataset_that_has_them_counts(dataset):
    root, image = dataset
    name = "sub-01_ses-1_acq-c_T2w_label-discs_dlabel.nii.gz"
    derive(root, name, "later")
    first = derive(root, name, "first")
    datasets = [root / "none", root / "first", root / "later"]
    assert find_disc_labels(image, root / "bids", datasets) == first
    assert find_disc_labels(image, root / "bids", []) is None
