"""Real cords that were drawn, and scenes of them and of phantoms."""

import nibabel as nib
import numpy as np
import pytest
import torch

from training.cord_sources import CONTRASTS, CordSource, draw_scene, find_drawn_cords
from training.cord_template import read_template
from training.randomness import seeded

AFFINE = np.array([[0, 0, 1.0, -20], [-1.0, 0, 0, 35], [0, 1.0, 0, -30], [0, 0, 0, 1]])  # PSR
SHAPE = (60, 60, 40)


@pytest.fixture
def dataset(tmp_path):
    """Sagittal T2w of an upright cord of 5 mm radius with a lesion; a T1w without drawn cord."""
    images, drawn = (tmp_path / name / "sub-1" / "anat" for name in ("bids", "masks"))
    for folder in (images, drawn):
        folder.mkdir(parents=True)
    p, _, r = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    cord = np.hypot(p - 35, r - 20) <= 5
    lesion = cord & (np.abs(np.arange(SHAPE[1]) - 30) < 6)[:, None] & (r > 20)
    image = 100 + 300 * (np.hypot(p - 35, r - 20) <= 8) - 150 * cord + 100 * lesion
    save(images / "sub-1_acq-x_T2w.nii.gz", image.astype(np.float32))
    save(images / "sub-1_T1w.nii.gz", image.astype(np.float32))
    save(drawn / "sub-1_acq-x_space-orig_label-SC_desc-a_mask.nii.gz", cord.astype(np.uint8))
    save(drawn / "sub-1_acq-x_label-L_mask.nii.gz", lesion.astype(np.uint8))
    return tmp_path


def save(path, data, affine=AFFINE):
    nib.Nifti1Image(data, affine).to_filename(path)


def find(dataset):
    return find_drawn_cords(dataset / "bids", dataset / "masks", ["1"])


def test_drawn_cords_are_found_with_their_lesions(dataset):
    (source,) = find(dataset)
    assert source.name == "sub-1_acq-x_T2w"
    assert source.is_real
    middle = AFFINE[:3, :3] @ [35, 30, 20] + AFFINE[:3, 3]
    assert np.allclose(source.line_mm[:, :2], middle[:2], atol=0.1)
    assert np.allclose(np.diff(source.line_mm[:, 2]), 1)
    assert source.lesions.data.sum() > 100


def test_a_mask_of_another_grid_is_refused(dataset):
    path = next((dataset / "masks").rglob("*label-SC*"))
    save(path, np.ones((60, 60, 39), np.uint8))
    with pytest.raises(ValueError, match="not on the grid"):
        find(dataset)


def test_an_empty_cord_is_refused(dataset):
    save(next((dataset / "masks").rglob("*label-SC*")), np.zeros(SHAPE, np.uint8))
    with pytest.raises(ValueError, match="empty"):
        find(dataset)


def test_a_real_scene_shows_the_cord_where_its_mask_and_line_are(dataset):
    (source,) = find(dataset)
    scenes = [draw_scene(source, (96, 96, 48), seeded(4, n)) for n in range(4)]
    for scene in scenes:
        assert scene.image.shape == scene.cord.shape == (96, 96, 48)
        rim = torch.nn.functional.max_pool3d(scene.cord[None], 7, 1, 3)[0] > 0.5
        fluid = scene.image[rim & (scene.cord < 0.1)].median()
        assert scene.image[scene.cord > 0.9].median() < 0.9 * fluid
        x, y, z = scene.centreline.round().long().unbind(1)
        assert scene.cord[x, y, z].mean() > 0.95
    assert any(scene.lesion.any() for scene in scenes)
    areas = [float((scene.cord > 0.5).sum()) for scene in scenes]
    assert max(areas) > 1.1 * min(areas)  # scaled


def test_the_same_seed_draws_the_same_scene(dataset, pam50_folder):
    for source in (*find(dataset), CordSource("PAM50", read_template(pam50_folder))):
        one, same, other = (draw_scene(source, (64, 64, 32), seeded(2, n)) for n in (0, 0, 1))
        assert torch.equal(one.image, same.image)
        assert not torch.equal(one.image, other.image)


def test_all_phantoms_can_have_one_contrast(pam50_folder, monkeypatch):
    asked = []
    monkeypatch.setattr("training.cord_sources.draw_phantom", lambda *words: asked.append(words[2]))
    source = CordSource("PAM50", read_template(pam50_folder))
    for contrasts in (CONTRASTS, (("T1w", 1.0),)):
        for n in range(20):
            draw_scene(source, (64, 64, 32), seeded(3, n), contrasts)
    assert set(asked[:20]) == {"T1w", "T2w", "T2starw", None}
    assert set(asked[20:]) == {"T1w"}
