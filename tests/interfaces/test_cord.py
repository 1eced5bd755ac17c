"""The cord's interface with stand-in networks, on phantoms with known answers."""

import csv

import nibabel as nib
import numpy as np
import pytest
import torch
from nipype.interfaces.base import isdefined

from interfaces.cord import CordSegmentation

# By intensity: 50 around, 200 in the cord, 550 in its lesion; 1 is the cord after Nyul's scale.
THRESHOLDS = {"cord-detector": 2.0, "cord": 1.5, "cord-lesions": 4.5}
SIDES = {"cord-detector": 96, "cord": 64, "cord-lesions": 48}
RADIUS_MM, AREA_MM2 = 5.0, np.pi * 25
LESION_MM = (1.0, 1.0, -4.0)  # its centre, from the middle of the image
LESION_RADIUS_MM = 2.5


class Above(torch.nn.Module):
    """Finds what is brighter than a threshold in standard deviations."""

    def __init__(self, threshold):
        super().__init__()
        self.threshold = threshold

    def forward(self, image):
        """Logits (N, 1, ...)."""
        return 30 * (image - self.threshold)


def card_of(name):
    shape = [SIDES[name], SIDES[name], 48]
    card = {"sha256": "abc", "trained_on": ["nothing"], "architecture": {},
            "input": {"shape": shape, "scale": [*[0] * 10, 1]}}  # fmt: skip
    if name == "cord-lesions":
        card["input"]["contrasts"] = ["T2w", "T2starw"]
    return card


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    """The stand-ins; yields the names that were asked for."""
    names = []

    def load(name, model_dir=None, device="cpu"):
        names.append(name)
        return Above(THRESHOLDS[name]), card_of(name)

    monkeypatch.setattr("networks.weights.load_network", load)
    monkeypatch.setattr("networks.weights.has_card", lambda name, model_dir=None: True)
    monkeypatch.setattr("networks.weights.read_card", lambda name, model_dir=None: card_of(name))
    return names


AXIAL = ((60, 60, 12), (0.8, 0.8, 3.0), ((0, 1), (1, 1), (2, 1)))
FLIPPED = ((60, 60, 12), (0.8, 0.8, 3.0), ((0, -1), (1, -1), (2, -1)))
SAGITTAL = ((60, 45, 17), (0.8, 0.8, 2.8), ((1, -1), (2, 1), (0, 1)))
SINGLE = ((60, 60, 1), (0.8, 0.8, 5.0), ((0, -1), (1, 1), (2, 1)))
HEAD = ((30, 30, 56), (0.8, 0.8, 3.0), ((0, 1), (1, 1), (2, 1)))
AXES = {"head": HEAD, "axial": AXIAL, "flipped": FLIPPED, "sagittal": SAGITTAL, "single": SINGLE}


def grid(kind):
    """Shape and affine of a scan centred at (10, -20, 30) mm."""
    shape, voxel_mm, axes = AXES[kind]
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, (world, sign) in enumerate(axes):
        affine[world, axis] = sign * voxel_mm[axis]
    affine[:3, 3] = (10, -20, 30) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return shape, affine


def world_points(shape, affine, fine):
    """World positions (from the scan's middle) of ``fine`` points a voxel along each axis."""
    axes = [(np.arange(n * fine) + 0.5) / fine - 0.5 for n in shape]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    return index @ affine[:3, :3].T + affine[:3, 3] - (10, -20, 30)


def share(inside, shape, fine=4):
    parts = inside.reshape(shape[0], fine, shape[1], fine, shape[2], fine)
    return parts.mean(axis=(1, 3, 5)).astype(np.float32)


def draw(kind, lesion=True, cord=True, middle_mm=(0, 0), top_mm=np.inf):
    """Image, affine, and share of cord and of lesion in every voxel."""
    shape, affine = grid(kind)
    points = world_points(shape, affine, 4)
    stem = ((points[..., :2] - middle_mm) ** 2).sum(-1) <= RADIUS_MM**2
    stem &= points[..., 2] <= top_mm
    spot = ((points - LESION_MM) ** 2).sum(-1) <= LESION_RADIUS_MM**2
    whole, part = share(stem & cord, shape), share(stem & spot & lesion & cord, shape)
    return 50 + 150 * whole + 350 * part, affine, whole, part


@pytest.fixture
def measure(tmp_path):
    """Write a scan and run the interface on it; returns its outputs."""

    def run(data, affine, suffix="T2w", **inputs):
        path = tmp_path / f"scan_{suffix}.nii.gz"
        nib.Nifti1Image(data.astype(np.float32), affine).to_filename(path)
        folder = tmp_path / "node"
        folder.mkdir(exist_ok=True)
        return CordSegmentation(in_file=str(path), **inputs).run(cwd=str(folder)).outputs

    return run


def read(path):
    return np.asarray(nib.load(path).dataobj)


@pytest.mark.parametrize("kind", ["axial", "flipped", "sagittal"])
def test_cord_and_lesion_are_found_in_any_orientation(measure, kind):
    data, affine, cord, lesion = draw(kind)
    outputs = measure(data, affine)
    for trait in ("out_mask", "out_probseg", "out_lesions", "out_centreline"):
        image = nib.load(getattr(outputs, trait))
        assert image.shape == data.shape
        assert np.allclose(image.affine, affine, atol=1e-4)
    mask = read(outputs.out_mask) > 0
    assert 2 * (mask & (cord > 0.5)).sum() / (mask.sum() + (cord > 0.5).sum()) > 0.93
    found = read(outputs.out_lesions) > 0
    assert found[lesion > 0.9].all()
    assert not (found & ~mask).any()
    measures = outputs.measures
    assert measures["qc_cord_flag"] == "ok"
    # a threshold on what was interpolated between columns of 2.8 mm cuts the round cord's sides
    close = 0.12 if kind == "sagittal" else 0.07
    assert measures["cord_csa_mean_mm2"] == pytest.approx(AREA_MM2, rel=close)
    assert measures["cord_length_mm"] == pytest.approx(36, abs=3.1)
    assert measures["cord_lesion_count"] == 1
    voxels = found.sum() * abs(np.linalg.det(affine[:3, :3]))
    assert measures["cord_lesion_mm3"] == pytest.approx(voxels, rel=1e-4)
    assert len(outputs.lesion_rows) == 1


@pytest.mark.parametrize("kind", ["axial", "flipped", "sagittal"])
def test_the_centreline_runs_through_the_middle_upwards(measure, kind):
    data, affine, *_ = draw(kind, middle_mm=(2, -3))
    outputs = measure(data, affine)
    with open(outputs.out_points, newline="") as stream:
        points = np.array([[float(v) for v in row.values()] for row in csv.DictReader(stream)])
    assert len(points) == len(outputs.rows)
    assert np.allclose(points[:, :2], (12, -23), atol=0.5)
    assert (np.diff(points[:, 2]) > 0).all()
    drawn = np.argwhere(read(outputs.out_centreline))
    assert len(drawn) == len(points)
    placed = drawn @ affine[:3, :3].T + affine[:3, 3]
    placed = placed[np.argsort(placed[:, 2])]
    assert np.abs(placed - points).max() <= 1.5


def test_rows_count_from_the_lowest_section(measure):
    data, affine, *_ = draw("flipped", top_mm=9)
    rows = measure(data, affine).rows
    assert [row["slice"] for row in rows] == list(range(9))
    assert rows[0]["distance_from_top_mm"] == pytest.approx(24, abs=0.1)
    assert rows[-1]["distance_from_top_mm"] == 0


def test_a_single_slice_is_measured_and_wants_a_look(measure):
    data, affine, *_ = draw("single", lesion=False)
    outputs = measure(data, affine)
    assert len(outputs.rows) == 1
    assert outputs.measures["cord_csa_mean_mm2"] == pytest.approx(AREA_MM2, rel=0.07)
    assert outputs.measures["cord_lesion_count"] == 0
    assert outputs.measures["qc_cord_flag"].startswith("only 5 mm of cord")


def test_without_a_cord_there_is_one_reason_and_no_number(measure):
    data, affine, *_ = draw("axial", cord=False)
    data += np.linspace(0, 20, 60)[:, None, None]  # a coil's shading
    outputs = measure(data, affine)
    assert outputs.measures.pop("qc_cord_flag") == "no result: no cord was found"
    assert outputs.measures.pop("qc_cord_c2c3_flag") == "no cord"
    assert set(outputs.measures.values()) == {None}
    assert outputs.rows == outputs.lesion_rows == []
    assert not isdefined(outputs.out_mask)
    assert not isdefined(outputs.out_points)


def test_a_head_scan_that_ends_above_c2_has_masks_but_no_numbers(measure):
    data, affine, *_ = draw("axial", top_mm=0)
    outputs = measure(data, affine, brain_t1w=True)
    assert outputs.measures["qc_cord_flag"].endswith("this brain T1w ends above C2")
    assert outputs.measures["cord_csa_mean_mm2"] is None
    assert outputs.measures["cord_lesion_count"] is None
    assert outputs.rows == []
    assert read(outputs.out_mask).any()
    assert measure(data, affine).measures["qc_cord_flag"] == "ok"


def test_lesions_are_not_looked_for_in_a_contrast_that_hides_them(measure):
    data, affine, *_ = draw("axial")
    found = measure(data, affine, suffix="T1w")
    assert found.measures["cord_lesion_count"] is None
    assert found.measures["cord_lesion_mm3"] is None
    assert not isdefined(found.out_lesions)
    assert found.lesion_rows == []
    assert {row["lesion_area_mm2"] for row in found.rows} == {None}
    assert found.measures["cord_csa_mean_mm2"] == pytest.approx(AREA_MM2, rel=0.05)
    assert [model["Name"] for model in found.meta["Models"]] == ["cord-detector", "cord"]


def test_without_weights_for_lesions_the_cord_is_measured_alone(measure, monkeypatch):
    monkeypatch.setattr("networks.weights.has_card", lambda name, model_dir=None: False)
    data, affine, *_ = draw("axial")
    found = measure(data, affine)
    assert found.measures["cord_lesion_count"] is None
    assert not isdefined(found.out_lesions)
    assert found.measures["cord_csa_mean_mm2"] == pytest.approx(AREA_MM2, rel=0.05)


def disc_file(path, heights_mm):
    """Single voxels with discs' numbers at heights (mm from the middle), behind the cord."""
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = (-10, -40, 0)
    labels = np.zeros((40, 40, 60), np.int16)
    for number, height in heights_mm.items():
        labels[20, 14, 30 + height] = number
    nib.Nifti1Image(labels, affine).to_filename(path)
    return str(path)


def test_levels_come_from_the_discs(measure, tmp_path):
    data, affine, *_ = draw("axial", lesion=False)
    discs = disc_file(tmp_path / "discs.nii.gz", {2: 15, 3: 0, 4: -15})
    outputs = measure(data, affine, disc_labels=discs)
    levels = [row["level"] for row in outputs.rows]
    assert levels == [None] + [3] * 5 + [2] * 5 + [None]
    assert outputs.measures["qc_cord_c2c3_flag"] == "ok"
    assert outputs.measures["cord_csa_c2c3_mm2"] == pytest.approx(AREA_MM2, rel=0.07)
    without = measure(data, affine)
    assert without.measures["cord_csa_c2c3_mm2"] is None
    assert without.measures["qc_cord_c2c3_flag"] == "no vertebral levels are known"


def test_discs_in_a_wrong_order_are_not_believed(measure, tmp_path):
    data, affine, *_ = draw("axial", lesion=False)
    discs = disc_file(tmp_path / "discs.nii.gz", {2: -15, 3: 0, 4: 15})
    outputs = measure(data, affine, disc_labels=discs)
    assert {row["level"] for row in outputs.rows} == {None}
    assert "do not follow each other" in outputs.measures["qc_cord_c2c3_flag"]
    assert outputs.measures["cord_csa_mean_mm2"] is not None


def test_levels_of_a_head_scan_come_from_the_top_of_the_cord(measure):
    data, affine, *_ = draw("head", lesion=False, top_mm=0)  # 28 slices of 3 mm, 84 mm above
    outputs = measure(data, affine, brain_t1w=True)
    levels = [row["level"] for row in outputs.rows][::-1]
    assert levels == [1] * 9 + [2] * 5 + [3] * 6 + [None] * 8
    assert outputs.measures["cord_csa_c2c3_mm2"] == pytest.approx(AREA_MM2, rel=0.07)
    assert outputs.measures["qc_cord_c2c3_flag"] == (
        "C2 and C3 were placed by the distance from the top of the cord, not by disc labels"
    )
    assert [row["level"] for row in outputs.level_rows] == [1, 2, 3]
    assert {row["level_source"] for row in outputs.level_rows} == {outputs.meta["VertebralLevels"]}
    assert outputs.meta["VertebralLevels"] == "distance from the top of the cord"
    # the same image is not known to show the brain
    neck = measure(data, affine)
    assert neck.measures["qc_cord_c2c3_flag"] == "no vertebral levels are known"
    assert neck.level_rows == []
    assert neck.meta["VertebralLevels"] == "not known"


def test_a_head_scan_whose_cord_ends_at_its_border_has_no_levels(measure):
    data, affine, *_ = draw("head", lesion=False, top_mm=9)
    outputs = measure(data, affine, brain_t1w=True)
    assert outputs.measures["cord_csa_c2c3_mm2"] is None
    assert outputs.measures["cord_csa_mean_mm2"] is not None
    assert "less than 80 mm of the head" in outputs.measures["qc_cord_c2c3_flag"]
    assert outputs.level_rows == []


def test_discs_of_a_head_scan_come_before_the_top(measure, tmp_path):
    data, affine, *_ = draw("head", lesion=False, top_mm=0)
    wrong = disc_file(tmp_path / "wrong.nii.gz", {2: -15, 3: 0, 4: 15})
    outputs = measure(data, affine, disc_labels=wrong, brain_t1w=True)
    assert {row["level"] for row in outputs.rows} == {None}
    assert "do not follow each other" in outputs.measures["qc_cord_c2c3_flag"]


def test_the_sidecar_names_all_three_networks(measure, networks):
    data, affine, *_ = draw("single")
    meta = measure(data, affine).meta
    assert [model["Name"] for model in meta["Models"]] == networks == list(THRESHOLDS)
    assert (meta["Threshold"], meta["Device"]) == (0.5, "cpu")
