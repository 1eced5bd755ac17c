"""msmorph-train end to end on a tiny network: weights, card, log, resume."""

import json

import nibabel as nib
import numpy as np
import pytest

from networks.weights import load_network
from training import cli


@pytest.fixture
def label_map(tmp_path):
    """A box head with two thalami (FreeSurfer's numbers)."""
    labels = np.zeros((90, 90, 80), np.int16)
    labels[8:82, 8:82, 8:72] = 2
    labels[30:42, 35:60, 35:50] = 10
    labels[48:60, 35:60, 35:50] = 49
    path = tmp_path / "box_dseg.nii.gz"
    nib.Nifti1Image(labels, np.eye(4)).to_filename(path)
    return path


@pytest.mark.slow
def test_training_writes_weights_that_load(label_map, tmp_path):
    out = tmp_path / "run"
    words = [
        "deepgrai-stage1", "--output", str(out), "--head-labels", str(label_map), "--workers", "0",
        "--channels", "2", "2", "2", "2", "2", "--batch", "1",
    ]  # fmt: skip
    assert cli.main([*words, "--steps", "1"]) == 0
    assert cli.main([*words, "--steps", "2", "--resume"]) == 0
    network, card = load_network("deepgrai-stage1", out)
    assert card["training"]["steps"] == 2
    assert card["trained_on"] == ["box"]
    assert str(tmp_path) not in json.dumps(card)
    assert sum(p.numel() for p in network.parameters()) > 0
    rows = (out / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2"]


def test_no_source_is_said(tmp_path):
    with pytest.raises(SystemExit, match="no training source"):
        cli.main(["deepgrai-stage1", "--output", str(tmp_path)])
