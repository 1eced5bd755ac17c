"""Training sources: label maps to synthesise images from, and real FLAIRs with weak labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from networks.geometry import antialias, image_axes

THALAMUS_LABELS = (10, 49)  # FreeSurfer's numbers, left and right
FIRST_EXTRACEREBRAL_LABEL = 165


@dataclass
class Volume:
    """A volume (X, Y, Z) and the affine (4x4) that takes world mm to its voxel positions."""

    data: np.ndarray
    world_to_voxel: np.ndarray

    def __post_init__(self):
        self.data = np.array(self.data, order="C")  # torch wants it writable and unflipped


@dataclass
class Source:
    """One head: its label map or its image, its thalamus map, and where things lie (world mm)."""

    name: str
    axes: np.ndarray
    thalamus_centre_mm: np.ndarray
    brain_centre_mm: np.ndarray
    thalamus: Volume
    labels: Volume | None = None
    image: Volume | None = None


def _centroid_mm(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return affine[:3, :3] @ np.argwhere(mask).mean(0) + affine[:3, 3]


def _crop(data: np.ndarray, affine: np.ndarray, centre_mm, half_mm: float):
    """Cut a volume to a cube around a point; smaller sources keep the cache of a core warm."""
    voxel = np.linalg.inv(affine)[:3] @ np.append(centre_mm, 1)
    reach = half_mm / np.linalg.norm(affine[:3, :3], axis=0)
    low = np.maximum(np.floor(voxel - reach), 0).astype(int)
    high = np.minimum(np.ceil(voxel + reach) + 1, data.shape[:3]).astype(int)
    cropped = affine.copy()
    cropped[:3, 3] = affine[:3, :3] @ low + affine[:3, 3]
    return data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], cropped


def _is_brain(labels: np.ndarray) -> np.ndarray:
    return (labels > 0) & (labels < FIRST_EXTRACEREBRAL_LABEL) & (labels != 24)


def label_source(path: Path, crop_mm: float | None) -> Source:
    """Read a whole-head label map (FreeSurfer numbers) as a source to synthesise from.

    ``crop_mm`` cuts it to that half-width around the thalami (stage 2), None keeps the head.
    """
    image = nib.as_closest_canonical(nib.load(path))
    labels = np.asarray(image.dataobj).astype(np.int16)
    thalamus = np.isin(labels, THALAMUS_LABELS)
    centre = _centroid_mm(thalamus, image.affine)
    brain_centre = _centroid_mm(_is_brain(labels), image.affine)
    affine = image.affine
    if crop_mm is not None:
        labels, affine = _crop(labels, affine, centre, crop_mm)
    inverse = np.linalg.inv(affine)
    return Source(
        name=Path(path).name.split("_dseg")[0],
        axes=image_axes(affine),
        thalamus_centre_mm=centre,
        brain_centre_mm=brain_centre,
        thalamus=Volume(np.isin(labels, THALAMUS_LABELS).astype(np.float32), inverse),
        labels=Volume(labels, inverse),
    )


def read_itk_affine(path: Path) -> np.ndarray:
    """Read an ITK text transform as a RAS-to-RAS 4x4 (points of the fixed image to the moving)."""
    text = Path(path).read_text()
    values = np.array(re.search(r"\nParameters:(.*)", text)[1].split(), float)
    centre = np.array(re.search(r"FixedParameters:(.*)", text)[1].split(), float)
    matrix = np.eye(4)
    matrix[:3, :3] = values[:9].reshape(3, 3)
    matrix[:3, 3] = values[9:] + centre - matrix[:3, :3] @ centre
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    return flip @ matrix @ flip


def real_source(
    flair: Path,
    labels: Path,
    flair_to_labels: np.ndarray,
    crop_mm: float | None,
    voxel_mm: tuple[float, float, float],
) -> Source:
    """Read a real FLAIR with labels drawn on another image of the same head.

    ``flair_to_labels`` takes world points of the FLAIR to world points of the label map (4x4
    RAS). ``voxel_mm`` is the network's grid, for antialiasing.
    """
    image = nib.as_closest_canonical(nib.load(flair))
    teacher = nib.load(labels)
    label_data = np.asarray(teacher.dataobj)
    back = np.linalg.inv(flair_to_labels)
    centre, brain_centre = (
        (back @ np.append(_centroid_mm(mask, teacher.affine), 1))[:3]
        for mask in (np.isin(label_data, THALAMUS_LABELS), _is_brain(label_data))
    )
    zooms = np.asarray(image.header.get_zooms()[:3], float)
    data = antialias(image.get_fdata(dtype=np.float32), zooms, np.asarray(voxel_mm))
    affine = image.affine
    if crop_mm is not None:
        data, affine = _crop(data, affine, centre, crop_mm)
    thalamus = np.isin(label_data, THALAMUS_LABELS).astype(np.float32)
    return Source(
        name=Path(flair).name.split("_FLAIR")[0],
        axes=image_axes(affine),
        thalamus_centre_mm=centre,
        brain_centre_mm=brain_centre,
        thalamus=Volume(thalamus, np.linalg.inv(teacher.affine) @ flair_to_labels),
        image=Volume(data, np.linalg.inv(affine)),
    )


def find_real_sources(
    bids_dir: Path, labels_dir: Path, transforms_dir: Path | None, subjects, **geometry
) -> list[Source]:
    """Every FLAIR of ``subjects`` whose T1w has labels in ``labels_dir`` (``space-T1w_*_dseg``).

    The alignment is ``*_from-T1w_to-FLAIR_mode-image_xfm.txt`` (ITK) of ``transforms_dir``, or,
    where there is none and both images share a grid, the identity.
    """
    sources = []
    for flair in sorted(Path(bids_dir).glob("sub-*/**/anat/*_FLAIR.nii.gz")):
        folder = flair.parent.relative_to(bids_dir)
        if folder.parts[0].removeprefix("sub-") not in subjects:
            continue
        prefix = flair.name.removesuffix("_FLAIR.nii.gz")
        dsegs = sorted((Path(labels_dir) / folder).glob(f"{prefix}_space-T1w_*dseg.nii.gz"))
        if not dsegs:
            continue
        transform = None
        if transforms_dir is not None:
            found = sorted(
                (Path(transforms_dir) / folder).glob(f"{prefix}_from-T1w_to-FLAIR_*.txt")
            )
            transform = read_itk_affine(found[0]) if found else None
        if transform is None:
            if nib.load(flair).shape != nib.load(dsegs[0]).shape:
                raise ValueError(
                    f"{flair} and its labels do not share a grid and no transform from T1w to"
                    " FLAIR was found; register them first"
                )
            transform = np.eye(4)
        sources.append(real_source(flair, dsegs[0], transform, **geometry))
    return sources
