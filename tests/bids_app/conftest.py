"""A small BIDS dataset of empty files, for the tests of the command line and of the query."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

Skeleton = Callable[[Iterable[str]], Path]


@pytest.fixture
def skeleton(tmp_path: Path) -> Skeleton:
    """Return a function that makes a dataset from file stems such as ``sub-01_ses-1_T1w``."""

    def make(stems: Iterable[str]) -> Path:
        root = tmp_path / "bids"
        root.mkdir(exist_ok=True)
        description = {"Name": "test", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
        (root / "dataset_description.json").write_text(json.dumps(description))
        for stem in stems:
            folders = [part for part in stem.split("_") if part.startswith(("sub-", "ses-"))]
            folder = root.joinpath(*folders, "anat")
            folder.mkdir(parents=True, exist_ok=True)
            name = stem if "." in stem else f"{stem}.nii.gz"
            (folder / name).touch()
        return root

    return make
