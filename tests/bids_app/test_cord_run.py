"""`msmorph --tasks cord` from a BIDS dataset to tables and reports, with hand-made networks."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from bids_app.tables import read_tsv
from networks import weights
from networks.cord_unet import CordUNet

THRESHOLDS = {"cord-detector": 2.0, "cord": 1.5, "cord-lesions": 6.0}  # in standard deviations
SIDES = {"cord-detector": 96, "cord": 64, "cord-lesions": 64}
AREA_MM2 = np.pi * 25


def bright_finder(architecture, threshold):
    """A CordUNet that passes the intensities on to its end and finds what exceeds a threshold."""
    network = CordUNet(architecture).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for block in (network.down[0], network.up[-1]):
            for layer in block:
                if hasattr(layer, "kernel_size"):
                    layer.weight[(0, 0, *(n // 2 for n in layer.kernel_size))] = 1
                elif hasattr(layer, "running_var"):
                    layer.weight.fill_(1)
        network.last.weight.view(-1)[0] = 20
        network.last.bias.fill_(-20 * threshold)
    return network


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Weights and cards of the three networks of the cord."""
    folder = tmp_path_factory.mktemp("models")
    for name, threshold in THRESHOLDS.items():
        flat = name == "cord-detector"
        architecture = {"kind": "cord_unet", "dims": 2 if flat else 3, "filters": [2, 2, 2],
                        "dilation": 3 if flat else 1, "dropout": 0.2}  # fmt: skip
        path = folder / f"{name}.safetensors"
        weights.save(bright_finder(architecture, threshold), path)
        card = {
            "architecture": architecture, "trained_on": ["nothing"],
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "input": {"shape": [SIDES[name]] * 2 + [48] * (not flat), "scale": [*[0] * 10, 1]},
        }  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(card))
    return folder


def scan(path, lesion: bool, cord: bool = True):
    """An upright cord of 10 mm in 12 axial slices of 3 mm, stored from head to feet."""
    fine, shape, voxel_mm = 4, (60, 60, 12), np.array([0.8, 0.8, 3.0])
    axes = [((np.arange(n * fine) + 0.5) / fine - n / 2) * mm
            for n, mm in zip(shape, voxel_mm, strict=True)]  # fmt: skip
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    stem = (x**2 + y**2 <= 25) & (z < np.inf) & cord
    spot = stem & ((x - 1) ** 2 + y**2 + (z - 4) ** 2 <= 9) & lesion
    parts = [p.reshape(60, fine, 60, fine, 12, fine).mean(axis=(1, 3, 5)) for p in (stem, spot)]
    data = 50 + 150 * parts[0] + 350 * parts[1] + np.linspace(0, 5, 60)[:, None, None]
    affine = np.diag([*(voxel_mm * (-1, 1, -1)), 1.0])
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(data.astype(np.float32), affine).to_filename(path)


def disc_labels(path):
    """Discs 2, 3 and 4 at 15, 0 and -15 mm from the middle of the scan, behind its cord."""
    labels = np.zeros((3, 9, 61), np.int16)
    affine = np.eye(4)
    affine[:3, 3] = (-25, 12, -16.5 - 30)
    for number, height in ((2, 15), (3, 0), (4, -15)):
        labels[1, 4, 30 + height] = number
    path.parent.mkdir(parents=True)
    nib.Nifti1Image(labels, affine).to_filename(path)


def msmorph(*arguments, folder):
    command = [sys.executable, "-m", "bids_app.cli", *(str(a) for a in arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, models):
    """Two contrasts with discs for one; a file cut short; no cord in the field of view."""
    root = tmp_path_factory.mktemp("cord")
    bids, labels = root / "bids", root / "labels"
    place = "sub-{0}/anat/sub-{0}_acq-cspine_{1}"
    scan(bids / place.format("two", "T2w.nii.gz"), lesion=True)
    scan(bids / place.format("two", "T2starw.nii.gz"), lesion=False)
    disc_labels(labels / place.format("two", "T2w_label-discs_dlabel.nii.gz"))
    cut = bids / place.format("cut", "T2w.nii.gz")
    scan(cut, lesion=False)
    cut.write_bytes(cut.read_bytes()[:1000])
    scan(bids / place.format("none", "T2w.nii.gz"), lesion=False, cord=False)
    description = {"Name": "cord", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (bids / "dataset_description.json").write_text(json.dumps(description))
    description |= {"DatasetType": "derivative", "GeneratedBy": [{"Name": "hand"}]}
    (labels / "dataset_description.json").write_text(json.dumps(description))
    options = ("--tasks", "cord", "--model-dir", models, "--skip-bids-validation")
    run = msmorph(
        bids, root / "out", "participant", *options, "--derivatives", f"labels={labels}",
        "--nprocs", "1", folder=root,
    )  # fmt: skip
    group = msmorph(bids, root / "out", "group", folder=root)
    return run, group, root / "out"


@pytest.mark.slow
def test_a_broken_image_fails_alone(finished):
    run, group, out = finished
    assert run.returncode == 1, run.stderr
    assert group.returncode == 0, group.stderr
    assert "FAILED sub-cut" in run.stderr
    assert "sub-cut_acq-cspine_T2w.nii.gz cannot be read" in (out / "sub-cut.html").read_text()
    assert "2 of 3 sessions finished" in run.stderr
    assert not list(out.rglob("*.partial"))
    assert not (out / "sub-cut" / "anat" / "sub-cut_desc-slices_morph.tsv").exists()


@pytest.mark.slow
def test_the_row_comes_from_the_t2w_with_its_levels(finished):
    _, rows = read_tsv(finished[2] / "group_morph.tsv")
    table = {row["participant_id"]: row for row in rows}
    two = table["sub-two"]
    assert two["qc_cord_image"] == "acq-cspine_T2w"
    assert two["qc_cord_flag"] == two["qc_cord_c2c3_flag"] == "ok"
    assert float(two["cord_csa_mean_mm2"]) == pytest.approx(AREA_MM2, rel=0.08)
    assert float(two["cord_csa_c2c3_mm2"]) == pytest.approx(AREA_MM2, rel=0.08)
    assert float(two["cord_length_mm"]) == pytest.approx(36, abs=0.5)
    assert two["cord_lesion_count"] == "1"
    # 113 mm3 were drawn; the stand-in takes much of what is only partly lesion
    assert 60 < float(two["cord_lesion_mm3"]) < 170
    none = table["sub-none"]
    assert none["qc_cord_flag"] == "no result: no cord was found"
    assert none["cord_csa_mean_mm2"] == none["cord_lesion_count"] == "n/a"
    assert {v for k, v in table["sub-cut"].items() if "cord" in k} == {"n/a"}


@pytest.mark.slow
def test_every_image_has_its_sections(finished):
    out = finished[2]
    _, rows = read_tsv(out / "group_desc-slices_morph.tsv")
    counts = {image: sum(r["cord_image"] == image for r in rows) for image in
              ("acq-cspine_T2w", "acq-cspine_T2starw")}  # fmt: skip
    assert counts == {"acq-cspine_T2w": 12, "acq-cspine_T2starw": 12}
    levels = {r["cord_image"]: [] for r in rows}
    for row in rows:
        levels[row["cord_image"]].append(row["level"])
    assert levels["acq-cspine_T2w"] == ["n/a", *"33333", *"22222", "n/a"]
    assert set(levels["acq-cspine_T2starw"]) == {"n/a"}
    _, lesions = read_tsv(out / "group_desc-cordlesions_morph.tsv")
    assert [(r["cord_image"], r["level"]) for r in lesions] == [("acq-cspine_T2w", "3")]
    _, table = read_tsv(out / "group_desc-cordlevels_morph.tsv")
    assert [(r["level"], r["level_source"]) for r in table] == [
        ("2", "disc labels"), ("3", "disc labels"),
    ]  # fmt: skip
    assert all(float(r["length_mm"]) == pytest.approx(15, abs=0.5) for r in table)
    _, nothing = read_tsv(out / "sub-none/anat/sub-none_acq-cspine_space-T2w_desc-slices_morph.tsv")
    assert nothing == []


@pytest.mark.slow
def test_images_lie_on_the_grid_of_the_scan(finished):
    out = finished[2]
    raw = nib.load(out.parent / "bids/sub-two/anat/sub-two_acq-cspine_T2w.nii.gz")
    base = out / "sub-two" / "anat" / "sub-two_acq-cspine_space-T2w_label"
    data = {}
    for name in ("SC_desc-deepseg_mask", "SC_desc-deepseg_probseg", "L_desc-deepseg_mask",
                 "SC_desc-centerline_mask"):  # fmt: skip
        image = nib.load(f"{base}-{name}.nii.gz")
        assert image.shape == raw.shape
        assert np.allclose(image.affine, raw.affine, atol=1e-4)
        data[name] = np.asarray(image.dataobj)
        meta = json.loads(Path(f"{base}-{name}.json").read_text())
        assert {m["Name"] for m in meta["Models"]} == set(THRESHOLDS)
    lesion = np.argwhere(data["L_desc-deepseg_mask"])
    centre = lesion.mean(0) @ raw.affine[:3, :3].T + raw.affine[:3, 3]
    middle = raw.affine @ [29.5, 29.5, 5.5, 1]
    assert np.allclose(centre - middle[:3], (-1, 0, -4), atol=1)  # stored from right and head
    assert not data["L_desc-deepseg_mask"][data["SC_desc-deepseg_mask"] == 0].any()
    assert data["SC_desc-centerline_mask"].sum() == 12
    assert Path(f"{base}-SC_desc-centerline_mask.csv").read_text().count("\n") == 13
    assert not list((out / "sub-none" / "anat").glob("*_mask.*"))


@pytest.mark.slow
def test_the_report_shows_the_cord(finished):
    out = finished[2]
    page = (out / "sub-two.html").read_text()
    for suffix in ("T2w", "T2starw"):
        for desc in ("cord", "cordoverview"):
            figure = f"sub-two_acq-cspine_desc-{desc}_{suffix}.svg"
            assert (out / "sub-two" / "figures" / figure).is_file()
            assert figure in page
    assert "Gros" in page
    assert "no result: no cord was found" in (out / "sub-none.html").read_text()


def test_missing_weights_stop_the_run_with_one_sentence(skeleton, tmp_path):
    run = msmorph(
        skeleton(["sub-01_acq-cspine_T2w"]), tmp_path / "out", "participant", "--tasks", "cord",
        "--skip-bids-validation", "--model-dir", str(tmp_path), folder=tmp_path,
    )  # fmt: skip
    assert run.returncode == 3, run.stderr
    assert "cord-detector.json does not exist" in run.stderr
    assert "Traceback" not in run.stderr
