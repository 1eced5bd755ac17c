"""The T1w interface with a stand-in network: outputs, flags, and the grid kept."""

import hashlib
import json

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from interfaces.opfer import OpferThalamus
from networks import opfer
from networks.unet import build_unet

ARCHITECTURE = {"channels": [2, 2, 2, 2, 2], "residual_units": 1, "out_channels": 5}
SHAPE = (90, 110, 96)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A head with its thalami and deep grey matter: (image, mask, labels); LPS, 2 mm."""
    folder = tmp_path_factory.mktemp("opfer")
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    world = np.moveaxis(np.indices(SHAPE), 0, -1) @ affine[:3, :3].T + affine[:3, 3]

    def ellipsoid(centre, radii):
        return (((world - centre) / radii) ** 2).sum(-1) < 1

    labels = np.where(ellipsoid((0, 0, 0), (66, 80, 64)), 4, 0)
    for sign, label in ((-1, 1), (1, 2)):
        labels[ellipsoid((sign * 27, 0, 0), (7, 20, 8))] = 3
        labels[ellipsoid((sign * 11, 0, 0), (9, 16, 10))] = label
    scalp = ellipsoid((0, 0, 0), (82, 98, 80)) & (labels == 0)
    data = np.choose(labels, (0.0, 160.0, 160.0, 150.0, 100.0)) + 60.0 * scalp
    files = [folder / "t1w.nii.gz", folder / "mask.nii.gz"]
    for path, array in zip(files, (data.astype(np.float32), np.uint8(labels > 0)), strict=True):
        nib.Nifti1Image(array, affine).to_filename(path)
    return *files, labels


@pytest.fixture
def model_dir(tmp_path):
    """Random weights with a card of the real geometry, but a patch of 64 mm."""
    folder = tmp_path / "models"
    folder.mkdir()
    weights = folder / f"{opfer.NAME}.safetensors"
    torch.manual_seed(1)
    save_file({k: v.half() for k, v in build_unet(ARCHITECTURE).state_dict().items()}, weights)
    card = {
        "architecture": ARCHITECTURE, "trained_on": ["nothing"],
        "input": {"shape": [64, 64, 64], "voxel_mm": [1.0, 1.0, 1.0]},
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }  # fmt: skip
    (folder / f"{opfer.NAME}.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def sees_all(monkeypatch, scan):
    """Replace the network by one that is never wrong."""
    labels = scan[2].astype(np.uint8)
    probability = np.stack([labels == n for n in (1, 2, 3, 4)]).astype(np.float32)
    found = opfer.HeadMap(probability, labels, clipped=False)
    monkeypatch.setattr(opfer, "segment_head", lambda *_: found)


def run(scan, model_dir, folder, image=None, **inputs):
    """Run the interface in ``folder``; its outputs."""
    node = OpferThalamus(
        in_file=str(image or scan[0]), brain_mask=str(scan[1]), slice_thickness_mm=2.0,
        weights_sha256=[], model_dir=str(model_dir), **inputs,
    )  # fmt: skip
    return node.run(cwd=str(folder)).outputs


def test_volumes_labels_and_sidecar(scan, model_dir, sees_all, tmp_path):
    outputs = run(scan, model_dir, tmp_path)
    measures, labels = outputs.measures, scan[2]
    flags = {name: text for name, text in measures.items() if name.startswith("qc_")}
    assert set(flags.values()) == {"ok"}, flags
    for label, side in ((1, "left"), (2, "right")):
        true_ml = (labels == label).sum() * 0.008
        assert measures[f"thalamus_t1w_{side}_soft_ml"] == pytest.approx(true_ml)
    assert measures["tiv_ml"] == pytest.approx((labels > 0).sum() * 0.008)
    dseg, raw = nib.load(outputs.out_dseg), nib.load(scan[0])
    assert dseg.get_data_dtype() == np.uint8
    assert np.allclose(dseg.affine, raw.affine)
    assert np.array_equal(np.asarray(dseg.dataobj), labels)
    probseg = nib.load(outputs.out_probseg)
    assert probseg.get_data_dtype() == np.float32
    assert probseg.get_fdata().sum() * 0.008 == pytest.approx(measures["thalamus_t1w_soft_ml"])
    assert outputs.meta["Models"][0]["Name"] == opfer.NAME
    assert outputs.meta["SkullStripped"] is False
    assert outputs.meta["Device"] == "cpu"


@pytest.mark.parametrize("method", ["given", "deepbet"])
def test_without_a_skull_there_is_no_intracranial_volume(
    scan, model_dir, sees_all, tmp_path, method
):
    """Whether the workflow took the image for extracted, or was forced not to."""
    image = nib.load(scan[0])
    if method == "deepbet":
        data = image.get_fdata() * (scan[2] > 0)
        image = nib.Nifti1Image(data.astype(np.float32), image.affine)
    image.to_filename(tmp_path / "extracted.nii.gz")
    outputs = run(
        scan, model_dir, tmp_path, image=tmp_path / "extracted.nii.gz", mask_method=method
    )
    assert "brain-extracted" in outputs.measures["qc_tiv_flag"]
    assert outputs.measures["tiv_ml"] is None
    assert outputs.measures["thalamus_t1w_fraction"] is None
    assert outputs.measures["thalamus_t1w_ml"] > 8
    assert outputs.meta["SkullStripped"] is True


@pytest.mark.slow
def test_random_weights_give_flags_and_no_crash(scan, model_dir, tmp_path):
    outputs = run(scan, model_dir, tmp_path)
    assert outputs.measures["qc_thalamus_t1w_flag"] != "ok"
    assert outputs.measures.get("thalamus_t1w_ml") is None
    assert nib.load(outputs.out_dseg).shape == SHAPE


def test_no_head_is_a_flag_not_a_crash(scan, model_dir, tmp_path, monkeypatch):
    def nothing(*_):
        raise opfer.HeadNotFound("no brain was found")

    monkeypatch.setattr(opfer, "segment_head", nothing)
    outputs = run(scan, model_dir, tmp_path)
    for name in ("qc_thalamus_t1w_flag", "qc_deep_gray_matter_flag", "qc_tiv_flag"):
        assert outputs.measures[name] == "no brain was found"
    assert not np.asarray(nib.load(outputs.out_dseg).dataobj).any()
