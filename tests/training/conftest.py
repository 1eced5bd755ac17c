"""A small head with every structure that the lesion networks learn, and a straight cord."""

import nibabel as nib
import numpy as np
import pytest

from networks.brain_classes import CLASSES, LESION

HEAD_SHAPE = (44, 52, 44)
AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])
AFFINE[:3, 3] = (-22, -26, -20)


def draw_labels():
    """White matter with blocks of all structures of both sides, CSF around it and a skull."""
    labels = np.zeros(HEAD_SHAPE, np.int16)
    labels[1:-1, 1:-1, 1:-1] = 515
    labels[3:-3, 3:-3, 3:-3] = 24
    labels[6:22, 6:-6, 6:-6], labels[22:-6, 6:-6, 6:-6] = 2, 41
    blocks = [labels for _, labels in CLASSES[LESION + 1 :] if labels[0] != 2]
    for number, names in enumerate(blocks):
        y, z = 8 + 5 * (number % 7), 8 + 5 * (number // 7)
        labels[17:21, y : y + 4, z : z + 4] = names[0]
        labels[23:27, y : y + 4, z : z + 4] = names[min(1, len(names) - 1)]
    return labels


@pytest.fixture(scope="session")
def head_labels():
    """Array (44, 52, 44) and affine of the head."""
    return draw_labels(), AFFINE


@pytest.fixture(scope="session")
def head_file(tmp_path_factory, head_labels):
    """The same as a file."""
    path = tmp_path_factory.mktemp("head") / "box_dseg.nii.gz"
    nib.Nifti1Image(*head_labels).to_filename(path)
    return path


@pytest.fixture
def small_canvas(monkeypatch):
    """A canvas of 40 x 48 x 40 mm for samples, stacks and inference."""
    from networks import deepscan
    from networks.geometry import InputGrid
    from training import brain_sampling

    monkeypatch.setattr(brain_sampling, "CANVAS", InputGrid((40, 48, 40), (1.0, 1.0, 1.0)))
    monkeypatch.setattr(deepscan, "PLANE", (40, 48))
    return (40, 48, 40)


def _write_pam50(folder, *, voxel_mm=0.5, levels=5):
    """A straight cord of 8 mm (64 mm2 by the ellipse 10 x 8 mm) with vertebrae of 12 mm."""
    n, slices = 91, 24 * levels + 20
    x, y = np.meshgrid(np.arange(n) - 45, np.arange(n) - 45, indexing="ij")
    ones = np.ones(slices)
    ellipse = ((x / 10) ** 2 + (y / 8) ** 2 <= 1)[..., None] * ones
    canal = ((x / 15) ** 2 + (y / 13) ** 2 <= 1)[..., None] * ones
    grey = np.clip(1.5 - np.hypot(x / 5, y / 2), 0, 1)[..., None] * ones
    z = np.arange(slices)
    number = levels - (z - 10) // 24
    number[(z < 10) | (z >= 10 + 24 * levels)] = 0
    body = ((np.abs(x) < 16) & (y > 15) & (y < 40))[..., None] & ((z - 10) % 24 < 18)
    maps = {
        "cord": ellipse, "csf": canal * (1 - ellipse), "gm": grey, "spine": body,
        "levels": ellipse * number,
    }  # fmt: skip
    affine = np.diag([-voxel_mm, voxel_mm, voxel_mm, 1.0])  # PAM50 is stored as LAS
    for name, data in maps.items():
        image = nib.Nifti1Image(data[::-1].astype(np.float32), affine)
        image.to_filename(folder / f"PAM50_{name}.nii.gz")
    return folder


@pytest.fixture(scope="session")
def write_pam50():
    """A function that writes maps like PAM50's of a straight cord into a folder."""
    return _write_pam50


@pytest.fixture(scope="session")
def pam50_folder(tmp_path_factory):
    """A folder of such maps."""
    return _write_pam50(tmp_path_factory.mktemp("pam50"))
