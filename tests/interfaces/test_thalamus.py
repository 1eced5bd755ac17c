"""The DeepGRAI interface with tiny stand-in networks: outputs, flags, and the grid kept."""

import hashlib
import json

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from interfaces.thalamus import DeepGRAI
from networks.unet import build_unet

ARCHITECTURE = {"channels": [2, 4], "residual_units": 0}
INPUTS = {
    "deepgrai-stage1": {"shape": [128, 128, 64], "voxel_mm": [2.0, 2.0, 2.0]},
    "deepgrai-stage2": {"shape": [128, 128, 64], "voxel_mm": [0.5, 0.5, 0.5]},
}


@pytest.fixture
def scan(tmp_path):
    """A bright pair of ellipsoids in a dark brain: (image, mask) as 2D-like FLAIR, LPS."""
    shape = (110, 130, 40)
    affine = np.diag([-1.5, -1.5, 3.0, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    world = (affine[:3, :3] @ np.indices(shape).reshape(3, -1) + affine[:3, 3:]).T
    brain = ((world / [65, 80, 55]) ** 2).sum(1) < 1
    pair = np.zeros(len(world), bool)
    for side in (-11, 11):
        pair |= (((world - [side, 0, 0]) / [8, 15, 10]) ** 2).sum(1) < 1
    data = np.where(pair, 200.0, np.where(brain, 50.0, 0.0)).reshape(shape)
    nib.Nifti1Image(data.astype(np.float32), affine).to_filename(tmp_path / "flair.nii.gz")
    nib.Nifti1Image(brain.reshape(shape).astype(np.uint8), affine).to_filename(
        tmp_path / "mask.nii.gz"
    )
    return tmp_path / "flair.nii.gz", tmp_path / "mask.nii.gz"


@pytest.fixture
def model_dir(tmp_path, request, monkeypatch):
    """Cards with real geometry; the networks are replaced by a threshold on brightness."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name, geometry in INPUTS.items():
        weights = folder / f"{name}.safetensors"
        save_file({k: v.half() for k, v in build_unet(ARCHITECTURE).state_dict().items()}, weights)
        card = {
            "architecture": ARCHITECTURE, "input": geometry, "trained_on": ["nothing"],
            "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        }  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(card))
    # In stage 2 the pair is 5 to 6% of the view: halfway up its edge is 2 SD above the mean.
    level = getattr(request, "param", 2.0)

    class Threshold(torch.nn.Module):
        def forward(self, image):
            return (image - level) * 20

    monkeypatch.setattr("networks.unet.build_unet", lambda _a: _Loads(Threshold()))
    return folder


class _Loads(torch.nn.Module):
    """Wraps a network that takes no weights."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def load_state_dict(self, state_dict, **_options):
        return [], []

    def forward(self, image):
        return self.network(image)


def run(scan, model_dir, folder, thickness=3.0):
    """Run the interface in ``folder``; its outputs."""
    node = DeepGRAI(
        in_file=str(scan[0]), brain_mask=str(scan[1]), slice_thickness_mm=thickness,
        weights_sha256=[], model_dir=str(model_dir),
    )  # fmt: skip
    return node.run(cwd=str(folder)).outputs


def test_volume_of_known_ellipsoids(scan, model_dir, tmp_path):
    outputs = run(scan, model_dir, tmp_path)
    true_ml = 4 / 3 * np.pi * 8 * 15 * 10 / 1000
    measures = outputs.measures
    assert measures["qc_thalamus_flair_flag"] == "ok"
    for side in ("left", "right"):
        assert measures[f"thalamus_flair_{side}_soft_ml"] == pytest.approx(true_ml, rel=0.06)
    dseg, raw = nib.load(outputs.out_dseg), nib.load(scan[0])
    assert dseg.shape == raw.shape
    assert np.allclose(dseg.affine, raw.affine)
    where = np.argwhere(np.asarray(dseg.dataobj) == 1) @ dseg.affine[:3, :3].T + dseg.affine[:3, 3]
    assert (where[:, 0] < 0).all()  # label 1 is the subject's left, at negative x


def test_implausible_scan_gives_no_number(scan, model_dir, tmp_path):
    outputs = run(scan, model_dir, tmp_path, thickness=7.5)
    assert "thicker" in outputs.measures["qc_thalamus_flair_flag"]
    assert outputs.measures["thalamus_flair_ml"] is None


@pytest.mark.parametrize("model_dir", [1e6], indirect=True)
def test_nothing_found_is_a_flag_not_a_crash(scan, model_dir, tmp_path):
    outputs = run(scan, model_dir, tmp_path)
    assert "no thalamus" in outputs.measures["qc_thalamus_flair_flag"]
    assert not np.asarray(nib.load(outputs.out_dseg).dataobj).any()
