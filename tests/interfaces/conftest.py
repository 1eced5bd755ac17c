"""A small head phantom, and the data kit where there is one."""

import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("NO_ET", "1")


def _ellipsoid(world, centre, radii):
    return (((world - np.asarray(centre)) / np.asarray(radii)) ** 2).sum(axis=-1) < 1


def head_at(world):
    """(T1-like, T2-like, brain) of the phantom at world points (..., 3) in mm."""
    head = _ellipsoid(world, (0, 0, 0), (80, 98, 82))
    skull = _ellipsoid(world, (0, 0, 0), (74, 92, 76))
    brain = _ellipsoid(world, (0, 0, 0), (66, 84, 66))
    ventricle = _ellipsoid(world, (-10, 10, 5), (8, 30, 12)) | _ellipsoid(
        world, (14, 0, 8), (6, 22, 10)
    )
    other = _ellipsoid(world, (30, -40, -25), (18, 14, 12)) | _ellipsoid(
        world, (-35, 35, 20), (10, 16, 9)
    )
    t1, t2 = np.zeros(head.shape, np.float32), np.zeros(head.shape, np.float32)
    for region, a, b in (
        (head, 900, 300), (skull, 60, 50), (brain, 600, 400), (ventricle, 200, 1000),
        (other, 400, 600),
    ):  # fmt: skip
        t1[region], t2[region] = a, b
    return t1, t2, brain


def points(affine, shape):
    """World coordinates of all voxels, shape (*shape, 3)."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    return grid @ affine[:3, :3].T + affine[:3, 3]


@pytest.fixture(scope="session")
def phantom(tmp_path_factory):
    """Write the phantom: phantom(name, matrix, size) -> (t1, t2, mask) files.

    `matrix` moves the head: voxels at world point x show the phantom's point matrix @ x.
    """
    import nibabel as nib
    from scipy.ndimage import gaussian_filter

    folder = tmp_path_factory.mktemp("phantom")

    def make(name, matrix=None, size=(2.5, 2.5, 4.0)):
        matrix = np.eye(4) if matrix is None else matrix
        shape = tuple(int(n // s) for n, s in zip((200, 232, 200), size, strict=True))
        affine = np.diag([-size[0], size[1], size[2], 1.0])
        affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
        world = points(affine, shape) @ matrix[:3, :3].T + matrix[:3, 3]
        t1, t2, brain = head_at(world)
        rng = np.random.default_rng(7)
        files = []
        for kind, data in (("T1w", t1), ("T2w", t2)):
            noise = rng.normal(0, 6, shape).astype(np.float32)
            data = gaussian_filter(data, 0.5) + np.where(data > 0, noise, 0)
            files.append(folder / f"{name}_{kind}.nii.gz")
            nib.save(nib.Nifti1Image(data.astype(np.float32), affine), files[-1])
        files.append(folder / f"{name}_mask.nii.gz")
        nib.save(nib.Nifti1Image(brain.astype(np.uint8), affine), files[-1])
        return tuple(str(f) for f in files)

    return make


@pytest.fixture(scope="session")
def kit():
    """Root of the BIDS data kit."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    root = Path(os.environ.get("MSMORPH_TEST_DATA", default)) / "bids"
    if not root.is_dir():
        pytest.skip(f"no data kit at {root} (set MSMORPH_TEST_DATA)")
    return root
