"""A corpus of bad input: every way in which a file of a dataset has been seen to be wrong.

Run as a script, it writes them all as one BIDS dataset, a subject each:
``python tests/bids_app/bad_input.py DIR``.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

SIZE_MM = 4.0


@dataclass(frozen=True)
class Case:
    """One bad file: how it is written at a path, and words of the sentence that it gets."""

    write: Callable[[Path], None]
    words: str
    suffix: str = "FLAIR"


def head() -> nib.Nifti1Image:
    """A head-shaped object of noise, 196 x 228 x 196 mm, radiological order."""
    shape = (49, 57, 49)
    affine = np.diag([-SIZE_MM, SIZE_MM, SIZE_MM, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    world = grid @ affine[:3, :3].T + affine[:3, 3]
    inside = ((world / (80, 98, 82)) ** 2).sum(-1) < 1
    noise = np.random.default_rng(1).normal(600, 60, shape)
    image = nib.Nifti1Image(np.where(inside, noise, 5).astype(np.int16), affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    return image


def write_head(path: Path, data=None, **header) -> None:
    """Write the head with other voxels or header fields (``affine`` is s-form and q-form)."""
    image = head()
    data = np.asarray(image.dataobj) if data is None else data
    changed = nib.Nifti1Image(data, image.affine)
    affine = header.pop("affine", image.affine)
    changed.set_sform(affine, 1)
    changed.set_qform(header.pop("qform", image.affine), 1)
    nib.save(changed, path)
    if header:
        raw = bytearray(gzip.decompress(path.read_bytes()))
        fields = nib.Nifti1Header(bytes(raw[:348]), check=False)
        for name, value in header.items():
            fields[name] = value
        raw[:348] = fields.binaryblock
        path.write_bytes(gzip.compress(bytes(raw)))


def _voxels() -> np.ndarray:
    return np.asarray(head().dataobj).astype(np.float32)


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        write_head(path)
        path.write_bytes(change(path.read_bytes()))

    return write


def _with(value: float, share: float) -> np.ndarray:
    data = _voxels()
    data[np.random.default_rng(2).random(data.shape) < share] = value
    return data


def _affine(change: Callable[[np.ndarray], None]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        affine = head().affine.copy()
        change(affine)
        rows = {f"srow_{axis}": affine[i] for i, axis in enumerate("xyz")}
        write_head(path, qform_code=0, **rows)

    return write


def _conflict(path: Path) -> None:
    mirrored = np.diag([-1.0, 1, 1, 1]) @ head().affine
    write_head(path, qform=mirrored)


def _shear(affine: np.ndarray) -> None:
    affine[0, 1] = 1.0


def _far(affine: np.ndarray) -> None:
    affine[0, 3] = 1e30


def _wide(path: Path) -> None:
    affine = head().affine * [[1.9], [1.9], [1.9], [1]]
    write_head(path, np.tile(np.asarray(head().dataobj), (2, 2, 2)), affine=affine, qform=affine)


def _thick(path: Path) -> None:
    image = head()
    affine = image.affine.copy()
    affine[2, 2] = 12
    write_head(path, np.asarray(image.dataobj)[:, :, ::3], affine=affine, qform=affine)


def _colour(path: Path) -> None:
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(np.zeros(head().shape, kind), head().affine), path)


def _cord(path: Path) -> None:
    """A sagittal cord: 48 mm wide, 180 mm high."""
    data = np.random.default_rng(3).normal(500, 50, (12, 50, 60)).astype(np.int16)
    nib.save(nib.Nifti1Image(data, np.diag([4.0, 4, 3, 1])), path)


def _wrapped() -> np.ndarray:
    """Voxels that were too bright for int16."""
    return (_voxels() * 60).astype(np.int64).astype(np.int16)


#: What one file can be, and words of the sentence that says so.
IMAGES: dict[str, Case] = {
    "truncated": Case(_bytes(lambda raw: raw[: len(raw) // 2]), "damaged or incomplete"),
    "cut": Case(_bytes(lambda raw: gzip.compress(gzip.decompress(raw)[:9000])), "damaged"),
    "empty": Case(lambda path: path.write_bytes(b""), "damaged or incomplete"),
    "text": Case(lambda path: path.write_bytes(b"no image at all " * 99), "damaged or incomplete"),
    "noise": Case(_bytes(lambda raw: raw[:900] + os.urandom(200) + raw[1100:]), "damaged"),
    "fourd": Case(lambda p: write_head(p, np.stack([_voxels()] * 2, -1)), "4 dimensions"),
    "nan": Case(lambda p: write_head(p, _with(np.nan, 0.3)), "30% voxels that are not finite"),
    "inf": Case(lambda p: write_head(p, _with(np.inf, 0.3)), "30% voxels that are not finite"),
    "zeros": Case(lambda p: write_head(p, 0 * _voxels()), "only zeros"),
    "constant": Case(lambda p: write_head(p, 0 * _voxels() + 7), "one constant value"),
    "slopehuge": Case(lambda p: write_head(p, scl_slope=3e38, scl_inter=0), "not finite"),
    "slopelarge": Case(lambda p: write_head(p, scl_slope=1e20, scl_inter=0), "scl_slope"),
    "interinf": Case(lambda p: write_head(p, scl_slope=2, scl_inter=np.inf), "damaged"),
    "slopetiny": Case(lambda p: write_head(p, scl_slope=1e-30, scl_inter=0), "scl_slope"),
    "wrapped": Case(lambda p: write_head(p, _wrapped()), "below zero"),
    "conflict": Case(_conflict, "turn or mirror the head against one another"),
    "zeroaffine": Case(_affine(lambda a: a.__imul__(0)), "singular"),
    "nanaffine": Case(_affine(lambda a: a.__imul__(np.nan)), "not finite"),
    "sheared": Case(_affine(_shear), "sheared"),
    "faraway": Case(_affine(_far), "from the scanner's centre"),
    "wide": Case(_wide, "mm along an axis"),
    "metres": Case(_affine(lambda a: a.__imul__(1e-3)), "voxels of"),
    "oneslice": Case(lambda p: write_head(p, _voxels()[:, :, 20:21]), "along an axis"),
    "thick": Case(_thick, "voxels of"),
    "bomb": Case(lambda p: write_head(p, dim=[3, 30000, 30000, 30000, 1, 1, 1, 1]), "30000"),
    "thinbomb": Case(lambda p: write_head(p, dim=[3, 1000, 600, 490, 1, 1, 1, 1],
                                     pixdim=[1, 0.4, 0.4, 0.4, 0, 0, 0, 0], sform_code=0),
                     "too few"),
    "offset": Case(lambda p: write_head(p, vox_offset=2e9), "header of"),
    "colour": Case(_colour, "colour"),
    "cordasbrain": Case(_cord, "cord or cropped"),
}  # fmt: skip


def write_images(root: Path) -> dict[str, str]:
    """Write a subject with each of IMAGES; returns subject -> words of its sentence."""
    for name, case in IMAGES.items():
        folder = root / f"sub-{name}" / "anat"
        folder.mkdir(parents=True)
        path = folder / f"sub-{name}_{case.suffix}.nii.gz"
        case.write(path)
        path.with_name(f"sub-{name}_{case.suffix}.json").write_text("{}")
    return {name: case.words for name, case in IMAGES.items()}


def write_description(root: Path) -> None:
    """Write what makes a folder a BIDS dataset."""
    root.mkdir(parents=True, exist_ok=True)
    description = {"Name": "bad", "BIDSVersion": "1.10.0", "DatasetType": "raw", "License": "CC0"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    (root / "README").write_text("Files that are bad on purpose, made by a test of MSMorph.\n")


def main(folder: str) -> None:
    """Write the corpus."""
    root = Path(folder)
    write_description(root)
    write_images(root)


if __name__ == "__main__":
    main(sys.argv[1])
