"""From a scan with contrast agent to confirmed labels that training reads, in a simulated head."""

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from bids_app.gadolinium.cli import main
from bids_app.tables import read_tsv, write_tsv
from interfaces.registration import about, write_itk
from networks.enhancement import ARCHITECTURE, INPUT
from training.enhancement_cohort import CohortFiles, read_cohort

PLACE, PREFIX = "sub-01/ses-1/anat", "sub-01_ses-1"
MOVED = about((0, 0, 0), (4.0, -3.0, 5.0), (3.0, -4.0, 2.0))  # of the head after contrast agent
#: Centre and radius (mm) of lesions; a ring about the first enhances.
LESIONS = (((25, 20, 18), 6.0), ((-25, -20, 24), 5.0))
VESSEL = ((0, -40, 0), 4.0)


def ball(world, centre, radii):
    return (((world - np.asarray(centre)) / np.asarray(radii)) ** 2).sum(-1) < 1


def world_of(affine, shape, matrix=None):
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    points = grid @ affine[:3, :3].T + affine[:3, 3]
    return points if matrix is None else points @ matrix[:3, :3].T + matrix[:3, 3]


def head(world, contrast, enhanced, rng):
    """A brain with ventricles, grey matter and lesions at world points; no skull."""
    brain = ball(world, (0, 0, 0), (62, 80, 60))
    values = {"T1w": (100, 30, 70, 75), "T2w": (80, 200, 100, 150), "FLAIR": (80, 20, 100, 160)}
    white, fluid, grey, lesion = values[contrast]
    data = np.where(brain, white, 0).astype(np.float32)
    for centre, radii in (((-10, 10, 5), (8, 30, 12)), ((14, 0, 8), (6, 22, 10))):
        data[ball(world, centre, radii)] = fluid
    for centre, radii in (((30, -40, -25), (18, 14, 12)), ((-35, 35, 20), (10, 16, 9))):
        data[ball(world, centre, radii)] = grey
    for centre, radius in LESIONS:
        data[ball(world, centre, (radius,) * 3)] = lesion
    if enhanced:
        distance = np.linalg.norm(world - np.array(LESIONS[0][0]), axis=-1)
        data[np.abs(distance - 4.5) < 1.5] = 140
        data[ball(world, VESSEL[0], (VESSEL[1],) * 3)] = 220
    data = ndimage.gaussian_filter(data, 0.6) + rng.normal(0, 2, data.shape)
    return np.where(brain, np.maximum(data, 1), 0).astype(np.float32), brain


def save(data, affine, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(data, affine).to_filename(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A dataset, derivatives as msmorph leaves them, and the cohort after the command."""
    root, rng = tmp_path_factory.mktemp("gad"), np.random.default_rng(1)
    fine, thick = np.diag([-2.0, 2.0, 2.0, 1.0]), np.diag([-1.5, 1.5, 3.0, 1.0])
    grids = {"T1w": (fine, (70, 90, 66)), "T2w": (thick, (92, 116, 44)),
             "FLAIR": (thick, (92, 116, 44))}  # fmt: skip
    folder = root / "derivatives" / PLACE
    for contrast, (affine, shape) in grids.items():
        affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
        world = world_of(affine, shape)
        data, brain = head(world, contrast, False, rng)
        save(data, affine, folder / f"{PREFIX}_desc-preproc_{contrast}.nii.gz")
        mask = f"{PREFIX}_space-{contrast}_desc-brain_mask.nii.gz"
        save(brain.astype(np.uint8), affine, folder / mask)
        if contrast == "FLAIR":
            lesions = np.logical_or.reduce([ball(world, c, (r,) * 3) for c, r in LESIONS])
            name = f"{PREFIX}_space-FLAIR_label-L_desc-deepscan_mask.nii.gz"
            save(lesions.astype(np.uint8), affine, folder / name)
        if contrast != "T1w":
            xfm = f"{PREFIX}_from-{contrast}_to-T1w_mode-image_xfm.txt"
            write_itk(np.eye(4), folder / xfm)
    affine, shape = grids["T1w"]
    after, _ = head(world_of(affine, shape, MOVED), "T1w", True, rng)
    save(1.6 * after, affine, root / "bids" / PLACE / f"{PREFIX}_ce-gadolinium_T1w.nii.gz")
    code = main([str(root / name) for name in ("bids", "derivatives", "cohort")])
    return root, code


@pytest.mark.slow
def test_the_ring_is_the_candidate_and_the_vessel_is_not(made):
    root, code = made
    assert code == 0
    _, rows = read_tsv(root / "cohort" / "candidates.tsv")
    assert len(rows) == 1 and rows[0]["confirmed"] == "n/a"
    centre = [float(rows[0][f"{axis}_mm"]) for axis in "xyz"]
    assert np.linalg.norm(np.array(centre) - LESIONS[0][0]) < 2
    image = nib.load(next((root / "cohort").rglob("*candidate_dseg.nii.gz")))
    distance = np.linalg.norm(world_of(image.affine, image.shape) - LESIONS[0][0], axis=-1)
    found, ring = np.asarray(image.dataobj) > 0, np.abs(distance - 4.5) < 1.5
    assert found[ring].mean() > 0.9
    assert distance[found].max() < 6 + 3 + 1  # within 3 mm of the lesion, and half a voxel
    page = (root / "cohort" / "candidates.html").read_text()
    figures = [part.split('"')[0] for part in page.split('src="./')[1:]]
    assert len(figures) == 2 and all((root / "cohort" / name).is_file() for name in figures)


@pytest.mark.slow
def test_training_reads_what_was_confirmed_and_nothing_else(made, tmp_path):
    cohort = made[0] / "cohort"
    card = {"architecture": ARCHITECTURE, "input": INPUT}
    files = CohortFiles(cohort, cohort, cohort)
    assert main([*map(str, (cohort, cohort, cohort)), "--confirm"]) == 1  # nobody has looked yet
    assert read_cohort(files, card, tmp_path / "a") == []
    names, rows = read_tsv(cohort / "candidates.tsv")
    for said, enhancing in (("yes", True), ("no", False)):
        write_tsv(cohort / "candidates.tsv", names, [row | {"confirmed": said} for row in rows])
        assert main([*map(str, (cohort, cohort, cohort)), "--confirm"]) == 0
        (scan,) = read_cohort(files, card, tmp_path / said)
        assert scan.name == PREFIX
        assert scan.enhancing is enhancing and scan.labels.any() == enhancing
        assert not scan.labels.all()  # of the second lesion nothing enhances
    write_tsv(cohort / "candidates.tsv", names, [row | {"confirmed": "perhaps"} for row in rows])
    assert main([*map(str, (cohort, cohort, cohort)), "--confirm"]) == 2
    write_tsv(cohort / "candidates.tsv", names, rows)
    assert main([*map(str, (cohort, cohort, cohort)), "--confirm"]) == 1
    assert not list(cohort.rglob("*confirmed_mask*"))  # no longer confirmed


@pytest.mark.slow
def test_a_readers_work_is_not_overwritten(made, capsys):
    root = made[0]
    assert main([str(root / name) for name in ("bids", "derivatives", "cohort")]) == 2
    assert "a reader's work" in capsys.readouterr().err


def test_what_is_missing_is_said(tmp_path, capsys, caplog):
    (tmp_path / "bids").mkdir()
    words = [str(tmp_path / name) for name in ("bids", "derivatives", "cohort")]
    assert main(words) == 2
    assert "no *_ce-*_T1w.nii.gz" in capsys.readouterr().err
    path = tmp_path / "bids" / PLACE / f"{PREFIX}_ce-gadolinium_T1w.nii.gz"
    save(np.ones((2, 2, 2)), np.eye(4), path)
    assert main(words) == 1
    assert "run msmorph with --tasks lesions" in caplog.text
    assert not (tmp_path / "cohort").exists()
