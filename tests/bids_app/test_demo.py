"""The demo dataset: truth, geometry, contrast, layout, refusals. One dataset for all tests."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bids_app.demo import main
from bids_app.demo.anatomy import brain_tissue, load_template
from bids_app.demo.contrast import finish
from bids_app.demo.deform import Atrophy, Grid, grid_points, random_head, rigid, transform
from bids_app.demo.session import SUBJECTS
from bids_app.demo.thalamus import CENTRE, inside_mm
from measures.lesion_regions import REGIONS

nib = pytest.importorskip("nibabel")
ndimage = pytest.importorskip("scipy.ndimage")


def _rows(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    with path.open(encoding="utf-8") as handle:
        table = list(csv.DictReader(handle, delimiter="\t"))
    return {(r["participant_id"], r["session_id"]): r for r in table}


def _image(root: Path, subject: str, session: str, name: str):
    stem = f"sub-{subject}_ses-{session}"
    return nib.load(root / f"sub-{subject}" / f"ses-{session}" / "anat" / f"{stem}_{name}.nii.gz")


def _truth(root: Path, *key: str):
    return _image(root / "derivatives" / "truth", *key)


SESSIONS = [("01", "01"), ("01", "02"), ("02", "01"), ("02", "02")]


def test_truth_volumes_and_planned_atrophy(demo):
    truth = _rows(demo / "derivatives" / "truth" / "truth.tsv")
    assert len(truth) == 4
    for row in truth.values():
        for side in ("left", "right"):
            assert 5.5 < float(row[f"thalamus_{side}_ml"]) < 10.1
        assert 0.5 < float(row["lesion_ml"]) < 8
    for plan in SUBJECTS:
        first, second = (truth[(f"sub-{plan.label}", f"ses-0{s}")] for s in (1, 2))
        for side, loss in zip(("left", "right"), plan.loss, strict=True):
            name = f"thalamus_{side}_ml"
            ratio = float(second[name]) / float(first[name])
            assert ratio == pytest.approx(1 - loss, abs=0.004)
        assert int(second["lesion_count"]) == int(first["lesion_count"]) + 1
        assert float(second["lesion_ml"]) > float(first["lesion_ml"])


def test_lesion_truth_by_region(demo):
    truth = _rows(demo / "derivatives" / "truth" / "truth.tsv")
    described = json.loads((demo / "derivatives" / "truth" / "truth.json").read_text("utf-8"))
    for row in truth.values():
        assert list(row) == list(described)
        parts = [float(row[f"lesion_{region}_ml"]) for region in REGIONS]
        # lesions are 14 mm apart: no voxel counts twice
        assert sum(parts) == pytest.approx(float(row["lesion_ml"]), rel=0.002)
        counts = {region: int(row[f"lesion_{region}_count"]) for region in REGIONS}
        assert sum(counts.values()) == int(row["lesion_count"])
        assert counts["periventricular"] == (4 if row["session_id"] == "ses-01" else 5)
    for subject in ("sub-01", "sub-02"):
        first, second = (truth[subject, f"ses-0{s}"] for s in (1, 2))
        grown = [float(second[f"lesion_{r}_ml"]) / float(first[f"lesion_{r}_ml"]) for r in REGIONS]
        assert grown[0] > 1.05  # the new lesion is periventricular
        assert grown[1:] == pytest.approx([1, 1, 1], abs=0.02)


@pytest.mark.parametrize(("subject", "session"), SESSIONS)
def test_masks_agree_with_the_table(demo, subject, session):
    row = _rows(demo / "derivatives" / "truth" / "truth.tsv")[(f"sub-{subject}", f"ses-{session}")]
    for suffix in ("T1w", "FLAIR", "T2w"):
        image = _truth(demo, subject, session, f"space-{suffix}_seg-thalamus_dseg")
        data = np.asarray(image.dataobj)
        voxel_ml = abs(np.linalg.det(image.affine)) / 1000
        for label, side in ((1, "left"), (2, "right")):
            ml = (data == label).sum() * voxel_ml
            assert ml == pytest.approx(float(row[f"thalamus_{side}_ml"]), rel=0.05)
        means = [
            nib.affines.apply_affine(image.affine, np.argwhere(data == label)).mean(axis=0)
            for label in (1, 2)
        ]
        assert means[0][0] < -5 < 5 < means[1][0]  # left is left in RAS millimetres
    lesion = np.asarray(_truth(demo, subject, session, "space-T1w_label-L_mask").dataobj)
    assert lesion.sum() / 1000 == pytest.approx(float(row["lesion_ml"]), rel=0.1)


@pytest.mark.parametrize("suffix", ["T1w", "FLAIR", "T2w"])
def test_headers(demo, suffix):
    image = _image(demo, "02", "01", suffix)
    header = image.header
    assert image.get_data_dtype() == np.int16
    assert int(header["sform_code"]) == int(header["qform_code"]) == 1
    np.testing.assert_allclose(image.get_sform(), image.get_qform(), atol=1e-4)
    assert header.get_xyzt_units() == ("mm", "sec")
    expected = ((1, 1, 1), "RAS") if suffix == "T1w" else ((1, 1, 3), "LPS")
    assert header.get_zooms() == expected[0]
    assert "".join(nib.aff2axcodes(image.affine)) == expected[1]
    truth = _truth(demo, "02", "01", f"space-{suffix}_seg-thalamus_dseg")
    assert truth.shape == image.shape
    np.testing.assert_array_equal(truth.affine, image.affine)


def _border_samples(data, image):
    """Return signals inside, just lateral (white matter) and between the thalami (ventricle)."""
    label = np.asarray(image.dataobj)
    plane = label[:, :, int(np.argwhere(label > 0)[:, 2].mean())]
    data = data[:, :, int(np.argwhere(label > 0)[:, 2].mean())].astype(float)
    x, y = (image.affine[k, k] * np.arange(plane.shape[k])[shape] for k, shape in
            ((0, np.s_[:, None]), (1, np.s_[None, :])))  # fmt: skip
    distance = ndimage.distance_transform_edt(plane == 0)
    ys = (y + 0 * distance)[plane > 0]
    middle_y = np.abs(y - ys.mean()) < 6
    medial = [(x + 0 * distance)[plane == k].mean() for k in (1, 2)]
    between = (plane == 0) & (x > medial[0]) & (x < medial[1]) & middle_y
    lateral = ((x < medial[0]) | (x > medial[1])) & middle_y & (distance > 2.5) & (distance < 5)
    core = ndimage.distance_transform_edt(plane > 0) > 2.5
    return data[core], data[lateral], data[between & (distance <= 4)]


@pytest.mark.parametrize(("subject", "session"), SESSIONS)
def test_contrast_at_the_thalamus_border_matches_the_truth(demo, subject, session):
    """Lateral of the truth is white matter, medial of it CSF; the order is each contrast's."""
    for suffix, low, high in (("T1w", 0.75, 0.97), ("FLAIR", 1.05, 1.35), ("T2w", 1.05, 1.4)):
        image = _truth(demo, subject, session, f"space-{suffix}_seg-thalamus_dseg")
        data = np.asarray(_image(demo, subject, session, suffix).dataobj)
        thalamus, white, gap = _border_samples(data, image)
        assert low < np.median(thalamus) / np.median(white) < high
        if suffix == "T2w":
            assert gap.max() > 1.5 * np.median(thalamus)
        else:
            assert gap.min() < 0.6 * np.median(thalamus)


def test_lesions_show(demo):
    data = np.asarray(_image(demo, "01", "02", "T1w").dataobj).astype(float)
    lesion = np.asarray(_truth(demo, "01", "02", "space-T1w_label-L_mask").dataobj) > 0
    grown = ndimage.binary_dilation(lesion, iterations=4)
    ring = grown & ~ndimage.binary_dilation(lesion, iterations=2)
    assert np.median(data[lesion]) < 0.85 * np.percentile(data[ring], 60)


def test_cord_is_what_the_table_says(demo):
    truth = _rows(demo / "derivatives" / "truth" / "truth.tsv")
    assert {row["cord_csa_mean_mm2"] for key, row in truth.items() if key[1] == "ses-02"} == {"n/a"}
    scanned = truth["sub-01", "ses-01"]
    table = demo / "derivatives/truth/sub-01/ses-01/anat/sub-01_ses-01_acq-cspine_space-T2w"
    with Path(f"{table}_desc-slices_morph.tsv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    described = json.loads(Path(f"{table}_desc-slices_morph.json").read_text("utf-8"))
    assert list(rows[0]) == list(described)
    image = _image(demo, "01", "01", "acq-cspine_T2w")
    cord, lesion = (
        np.asarray(_truth(demo, "01", "01", f"acq-cspine_space-T2w_label-{n}_mask").dataobj) > 0
        for n in ("SC", "L")
    )
    assert cord.shape == image.shape and not (lesion & ~cord).any()
    pixel_mm2 = np.prod(image.header.get_zooms()[:2])
    true = np.array([float(row["area_mm2"]) for row in rows])
    tilt = np.radians([float(row["angle_deg"]) for row in rows])
    seen = cord.sum(axis=(0, 1)) * pixel_mm2 * np.cos(tilt)
    np.testing.assert_allclose(seen, true, rtol=0.08)  # whole pixels
    assert seen.mean() == pytest.approx(true.mean(), rel=0.02)
    mean = true.mean()
    assert float(scanned["cord_csa_mean_mm2"]) == pytest.approx(mean, abs=1e-3)
    volume_mm3 = lesion.sum() * np.prod(image.header.get_zooms())
    assert float(scanned["cord_lesion_mm3"]) == pytest.approx(volume_mm3, rel=0.1)


def test_cord_shows(demo):
    data = np.asarray(_image(demo, "01", "01", "acq-cspine_T2w").dataobj).astype(float)
    cord, lesion = (
        np.asarray(_truth(demo, "01", "01", f"acq-cspine_space-T2w_label-{n}_mask").dataobj) > 0
        for n in ("SC", "L")
    )
    inside = ndimage.binary_erosion(cord)
    fluid = ndimage.binary_dilation(cord, iterations=3) & ~ndimage.binary_dilation(cord)
    healthy = np.median(data[inside & ~lesion])
    assert np.median(data[lesion]) > 1.5 * healthy
    assert np.median(data[fluid]) > 2 * healthy


def test_cord_levels_come_from_the_disc_labels(demo):
    from bids_app.discs import find_disc_labels

    image = demo / "sub-01" / "ses-01" / "anat" / "sub-01_ses-01_acq-cspine_T2w.nii.gz"
    found = find_disc_labels(image, demo, [demo / "derivatives" / "truth"])
    assert found is not None
    assert sorted(np.unique(np.asarray(nib.load(found).dataobj))) == [0, 2, 3, 4, 5, 6]


def test_bids_layout(demo):
    raw = json.loads((demo / "dataset_description.json").read_text(encoding="utf-8"))
    assert raw["BIDSVersion"] == "1.10.0" and raw["DatasetType"] == "raw"
    truth = demo / "derivatives" / "truth" / "dataset_description.json"
    assert json.loads(truth.read_text(encoding="utf-8"))["DatasetType"] == "derivative"
    flair = demo / "sub-01" / "ses-01" / "anat" / "sub-01_ses-01_FLAIR.json"
    sidecar = json.loads(flair.read_text(encoding="utf-8"))
    assert sidecar["MRAcquisitionType"] == "2D" and sidecar["SliceThickness"] == 3.0
    for image in demo.rglob("*.nii.gz"):
        assert image.with_name(image.name.replace(".nii.gz", ".json")).exists()
    assert not list(demo.parent.glob(".bids-*"))


def test_validator_finds_no_error(demo):
    tool = Path(sys.executable).with_name("bids-validator-deno")
    if not tool.exists():
        pytest.skip("bids-validator-deno is not installed beside this Python")
    done = subprocess.run(
        [tool, demo, "--format", "json", "--ignoreWarnings"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[:2000]


def test_an_earlier_demo_is_replaced_and_other_folders_are_refused(demo, tmp_path, capsys):
    from bids_app.demo.dataset import DemoError, check_target

    check_target(demo)
    check_target(tmp_path)
    check_target(tmp_path / "new")
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DemoError, match="not empty"):
        check_target(tmp_path)
    assert main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "not empty" in error and error.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    assert main([str(tmp_path / "thesis.txt")]) == 2
    assert main([str(tmp_path / "new"), "--seed", "-1"]) == 2


def test_same_seed_same_voxels_and_head_shape():
    signal = np.full((20, 21, 22), 100, np.float32)
    one, two, other = (finish(signal, np.random.default_rng(s), 3.0) for s in (4, 4, 5))
    assert one.dtype == np.int16 and one.tobytes() == two.tobytes() != other.tobytes()
    grid = Grid((40, 40, 40), np.diag([4.0, 4, 4, 1]))
    fields = [random_head(np.random.default_rng(7), grid, 5.0, (1, 1, 1)).field for _ in range(2)]
    assert fields[0].tobytes() == fields[1].tobytes()


def test_head_warp_is_invertible():
    grid = Grid((196, 232, 224), np.diag([1.0, 1, 1, 1]))
    field = random_head(np.random.default_rng(3), grid, 6.0, (1, 1, 1)).field
    rows = [np.stack(np.gradient(f, 4.0)) for f in field]
    jacobian = np.linalg.det(np.moveaxis(np.stack(rows), (0, 1), (-2, -1)) + np.eye(3))
    assert jacobian.min() > 0.3


def test_rigid_keeps_distances():
    points = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32) * 50
    moved = transform(rigid(np.array([3.0, -2, 5]), np.array([1.0, 2, 3])), points)
    gaps = [np.linalg.norm(p[:, :1] - p, axis=0) for p in (points, moved)]
    np.testing.assert_allclose(*gaps, atol=1e-3)


def test_no_atrophy_is_the_identity():
    grid = Grid((4, 4, 4), np.eye(4))
    still = Atrophy(grid, np.ones((2, 4, 4, 4), np.float32), np.zeros((2, 3)))
    points = grid_points(grid)
    assert still(points) is points


def test_template_thalamus():
    grid, t1, gm, wm = load_template()
    tissue = brain_tissue(grid, t1, gm, wm)
    left, right = (tissue[n] for n in ("left", "right"))
    assert left.sum() / 1000 == pytest.approx(right.sum() / 1000, rel=0.01)
    assert right.sum() / 1000 == pytest.approx(10.1, rel=0.04)
    total = sum(tissue.values())
    assert total.max() < 1.001 and total[t1 > 0].min() > 0.999
    where = grid_points(grid)[:, right > 0.5]
    assert where[0].min() >= 1 and where[0].max() <= 25
    centre = np.array(CENTRE).reshape(3, 1)
    assert inside_mm(centre)[0] > 0 > inside_mm(centre + 30)[0]
