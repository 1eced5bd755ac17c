"""What PyBIDS indexes of a dataset: the images in anat folders, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app.config import Config
from bids_app.layout import _index, find_images

IMAGES = (
    "sub-01/anat/sub-01_T1w.nii.gz",
    "sub-01/ses-1/anat/sub-01_ses-1_FLAIR.nii",
    "sub-02/ses-1/anat/sub-02_ses-1_acq-cspine_T2w.nii.gz",
)
OTHERS = (
    "participants.tsv",
    "T1w.json",
    "sub-01/sub-01_sessions.tsv",
    "sub-01/anat/sub-01_T1w.json",
    "sub-01/func/sub-01_task-rest_bold.nii.gz",
    "sub-01/ses-1/dwi/sub-01_ses-1_dwi.nii.gz",
    "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz.part",
    "derivatives/other/sub-01/anat/sub-01_T1w.nii.gz",
    "sourcedata/sub-01/anat/sub-01_T1w.nii.gz",
)


@pytest.fixture
def dataset(skeleton) -> Path:
    root = skeleton(())
    for name in (*IMAGES, *OTHERS):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_only_anatomical_images_are_indexed(dataset):
    found = {str(Path(path).relative_to(dataset)) for path in _index(dataset).files}
    assert found == set(IMAGES)


def test_only_the_wanted_subjects_are_indexed(dataset):
    found = {str(Path(path).relative_to(dataset)) for path in _index(dataset, ["02"]).files}
    assert found == {IMAGES[2]}


def test_each_contrast_finds_its_images(dataset, tmp_path):
    config = Config(dataset, tmp_path / "out", "participant")
    found = find_images(config, {}, ["01", "02"])
    names = {key: [str(p.relative_to(dataset)) for p in paths] for key, paths in found.items()}
    assert names == {
        "t1w": [IMAGES[0]],
        "flair": [IMAGES[1]],
        "t2w": [IMAGES[2]],
        "cord": [IMAGES[0], IMAGES[2]],  # sorted out later, by what the sidecar and name say
    }
