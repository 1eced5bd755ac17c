"""Training sources: label maps to synthesise images from, and real images with weak labels."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np

from networks.geometry import antialias, brain_extent, image_axes

THALAMUS_LABELS = (10, 49)  # FreeSurfer's numbers, left and right
FIRST_EXTRACEREBRAL_LABEL = 165


@dataclass
class Volume:
    """A volume (X, Y, Z) and the affine (4x4) that takes world mm to its voxel positions."""

    data: np.ndarray
    world_to_voxel: np.ndarray

    def __post_init__(self):
        self.data = np.array(self.data, order="C")  # torch wants it writable and unflipped
        self._tensors = {}

    def on(self, device):
        """The data as a tensor on a device, moved there once."""
        import torch

        if device not in self._tensors:
            self._tensors[device] = torch.from_numpy(self.data).to(device)
        return self._tensors[device]


@dataclass
class Source:
    """One head: its label map, its image if real, its thalamus map, and places (world mm).

    ``brain_box_mm`` see brain_extent. ``images`` (by contrast), ``lesions`` (mask) and ``unknown``
    (mask of what may be a lesion that nobody drew) are for networks that see several contrasts;
    ``filled`` are its images with the drawn lesions filled, which holds near them only.
    """

    name: str
    axes: np.ndarray
    thalamus_centre_mm: np.ndarray
    side_centres_mm: np.ndarray  # (2, 3): left, right thalamus
    brain_centre_mm: np.ndarray
    thalamus: Volume
    labels: Volume | None = None
    image: Volume | None = None
    brain_box_mm: tuple | None = None
    images: dict = field(default_factory=dict)
    lesions: Volume | None = None
    unknown: Volume | None = None
    filled: dict = field(default_factory=dict)

    @property
    def is_real(self) -> bool:
        """Whether it has images, and is no label map to synthesise from."""
        return self.image is not None or bool(self.images)


def _side_masks(labels: np.ndarray, path: Path) -> list[np.ndarray]:
    """Masks of the left and the right thalamus; ValueError when the map lacks one."""
    masks = [labels == number for number in THALAMUS_LABELS]
    for number, mask in zip(THALAMUS_LABELS, masks, strict=True):
        if not mask.any():
            raise ValueError(f"{path} has no thalamus of label {number} (10 is left, 49 right)")
    return masks


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


def is_brain(labels):
    """Where a label map (array or tensor) shows brain or ventricle, without the CSF around it."""
    return (labels > 0) & (labels < FIRST_EXTRACEREBRAL_LABEL) & (labels != 24)


def _moved(box, matrix):
    """The box of brain_extent with its centre moved by a matrix; a size hardly changes."""
    return (matrix @ np.append(box[0], 1))[:3], box[1]


def label_source(path: Path, crop_mm: float | None) -> Source:
    """Read a whole-head label map (FreeSurfer numbers) as a source to synthesise from.

    ``crop_mm`` cuts it to that half-width around the thalami (stage 2), None keeps the head.
    """
    image = nib.as_closest_canonical(nib.load(path))
    labels = np.asarray(image.dataobj).astype(np.int16)
    thalamus = np.isin(labels, THALAMUS_LABELS)
    centre = _centroid_mm(thalamus, image.affine)
    sides = np.stack([_centroid_mm(mask, image.affine) for mask in _side_masks(labels, path)])
    brain_centre = _centroid_mm(is_brain(labels), image.affine)
    brain_box = brain_extent(is_brain(labels), image.affine)
    affine = image.affine
    if crop_mm is not None:
        labels, affine = _crop(labels, affine, centre, crop_mm)
    inverse = np.linalg.inv(affine)
    return Source(
        name=Path(path).name.split("_dseg")[0],
        axes=image_axes(affine),
        thalamus_centre_mm=centre,
        side_centres_mm=sides,
        brain_centre_mm=brain_centre,
        thalamus=Volume(np.isin(labels, THALAMUS_LABELS).astype(np.float32), inverse),
        labels=Volume(labels, inverse),
        brain_box_mm=brain_box,
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


def resample_labels(labels: np.ndarray, affine: np.ndarray, numbers, voxel_mm: float = 1.0):
    """Label map on isotropic voxels, so that thick slices leave no steps in a training target.

    ``numbers`` are groups of labels; every group is interpolated linearly and the largest share
    wins a voxel, which then carries the group's first number; holes go to the last group. Returns
    (labels int16, affine).
    """
    from scipy.ndimage import affine_transform, binary_fill_holes

    zooms = np.linalg.norm(affine[:3, :3], axis=0)
    scale = voxel_mm / zooms
    shape = np.ceil(np.array(labels.shape) / scale).astype(int)
    offset = (scale - 1) / 2

    def share_of(mask):
        matrix = np.diag(scale)
        return affine_transform(mask.astype(np.float32), matrix, offset, tuple(shape), order=1)

    resampled = np.zeros(shape, np.int16)
    best = share_of(~np.isin(labels, np.concatenate(numbers)))
    for group in numbers:
        share = share_of(np.isin(labels, group))
        resampled[share > best] = group[0]
        best = np.maximum(best, share)
    # A tool's label map has holes; inside the head they are no background.
    resampled[binary_fill_holes(resampled > 0) & (resampled == 0)] = numbers[-1][0]
    fine = affine.copy()
    fine[:3, :3] = affine[:3, :3] * scale
    fine[:3, 3] = affine[:3, :3] @ offset + affine[:3, 3]
    return resampled, fine


@dataclass
class RealFiles:
    """Files of a real image with labels drawn on the T1w of the same head.

    ``to_labels`` takes world points of the image to world points of the label map (4x4 RAS).
    """

    image: Path
    labels: Path
    to_labels: np.ndarray


def _renumber(labels: np.ndarray, thalamus_numbers: tuple[int, int]) -> np.ndarray:
    """Labels with the thalami under FreeSurfer's numbers."""
    renumbered = labels.astype(np.int16)
    for given, wanted in zip(thalamus_numbers, THALAMUS_LABELS, strict=True):
        renumbered[labels == given] = wanted
    return renumbered


def real_source(
    files: RealFiles, crop_mm, voxel_mm, label_groups=None, thalamus_numbers=THALAMUS_LABELS
) -> Source:
    """Read a real image and its labels as a source.

    ``crop_mm`` see label_source; ``voxel_mm`` is the network's grid, for antialiasing;
    ``label_groups`` the groups of labels to keep as a label map on 1 mm voxels (see
    resample_labels), None keeps the thalamus only. Raises ValueError for labels that lack a
    thalamus or, where groups are asked, one of them.
    """
    image = nib.as_closest_canonical(nib.load(files.image))
    teacher = nib.as_closest_canonical(nib.load(files.labels))
    label_data = _renumber(np.asarray(teacher.dataobj), thalamus_numbers)
    back = np.linalg.inv(files.to_labels)
    to_teacher = np.linalg.inv(teacher.affine) @ files.to_labels
    masks = [
        np.isin(label_data, THALAMUS_LABELS), is_brain(label_data),
        *_side_masks(label_data, files.labels),
    ]  # fmt: skip
    centre, brain_centre, *sides = (
        (back @ np.append(_centroid_mm(mask, teacher.affine), 1))[:3] for mask in masks
    )
    zooms = np.asarray(image.header.get_zooms()[:3], float)
    data = antialias(image.get_fdata(dtype=np.float32), zooms, np.asarray(voxel_mm))
    affine = image.affine
    if crop_mm is not None:
        data, affine = _crop(data, affine, centre, crop_mm)
    labels = None
    if label_groups is not None:
        if not all(np.isin(group, label_data).any() for group in label_groups):
            raise ValueError(
                f"{files.labels} lacks structures this network learns; it needs labels of the"
                " whole head (FreeSurfer's numbers), as SAMSEG or SynthSeg make them"
            )
        resampled, fine = resample_labels(label_data, teacher.affine, label_groups)
        labels = Volume(resampled, np.linalg.inv(fine) @ files.to_labels)
    return Source(
        name=Path(files.image).name.split(".")[0],
        axes=image_axes(affine),
        thalamus_centre_mm=centre,
        side_centres_mm=np.stack(sides),
        brain_centre_mm=brain_centre,
        thalamus=Volume(masks[0].astype(np.float32), to_teacher),
        labels=labels,
        image=Volume(data, np.linalg.inv(affine)),
        brain_box_mm=_moved(brain_extent(masks[1], teacher.affine), back),
    )


@dataclass
class LabelFiles:
    """Where labels are: derivatives folder, ``seg-`` entity ("" for any), alignments, numbers.

    ``thalamus_numbers`` are those of the left and the right thalamus; all others are FreeSurfer's.
    """

    folder: Path
    segmentation: str = ""
    transforms: Path | None = None
    thalamus_numbers: tuple[int, int] = THALAMUS_LABELS

    def beside(self, image: Path, folder: Path, suffix: str) -> RealFiles | None:
        """Labels of an image: drawn in its own space, or else on the T1w of the same head."""
        prefix = image.name.removesuffix(f"_{suffix}.nii.gz")
        seg = f"seg-{self.segmentation}_" if self.segmentation else ""
        for space in (suffix, "T1w"):
            names = f"{prefix}_space-{space}_{seg}*dseg.nii.gz"
            dsegs = sorted((self.folder / folder).glob(names))
            if len(dsegs) > 1:
                known = ", ".join(path.name for path in dsegs)
                raise ValueError(f"{image.name} has several label files ({known}); name one seg-")
            if dsegs:
                matrix = (
                    np.eye(4) if space == suffix else self.transform(folder, prefix, "T1w", suffix)
                )
                return RealFiles(image, dsegs[0], checked(matrix, image, dsegs[0], "T1w"))
        return None

    def transform(self, folder: Path, prefix: str, moving: str, fixed: str) -> np.ndarray | None:
        """Matrix from points of the fixed contrast to those of the moving; None without a file."""
        if self.transforms is None:
            return None
        files = sorted((self.transforms / folder).glob(f"{prefix}_from-{moving}_to-{fixed}_*.txt"))
        return read_itk_affine(files[0]) if files else None


def checked(matrix, fixed: Path, moving: Path, contrast: str) -> np.ndarray:
    """The matrix (4x4) from a fixed image to a moving one, the identity where there is none.

    ``contrast`` is that of the moving file's space. Raises ValueError where there is no matrix and
    the two do not share a grid.
    """
    if matrix is not None:
        return matrix
    if nib.load(fixed).shape != nib.load(moving).shape:
        raise ValueError(
            f"{fixed} and {moving.name} do not share a grid and no transform from {contrast} was"
            " found; register them first"
        )
    return np.eye(4)


def find_real_files(bids_dir: Path, labels: LabelFiles, subjects, suffix: str) -> list[RealFiles]:
    """Every image (``suffix`` FLAIR or T1w) of ``subjects`` that has labels.

    Labels are ``*_space-SUFFIX_*dseg.nii.gz`` or ``*_space-T1w_*dseg.nii.gz``. The alignment of a
    FLAIR with labels on the T1w is ``*_from-T1w_to-FLAIR_mode-image_xfm.txt`` (ITK), or, where
    there is none and both share a grid, the identity. Raises ValueError when they do not.
    """
    found = []
    for image in sorted(Path(bids_dir).glob(f"sub-*/**/anat/*_{suffix}.nii.gz")):
        folder = image.parent.relative_to(bids_dir)
        if folder.parts[0].removeprefix("sub-") not in subjects or "_ce-" in image.name:
            continue
        files = labels.beside(image, folder, suffix)
        if files is not None:
            found.append(files)
    return found
