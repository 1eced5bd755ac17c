"""Real heads seen in several contrasts, with structure labels and, where drawn, lesions."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from measures.filling import fill_lesions
from networks.brain_classes import CLASSES, CONTRASTS, LESION
from networks.geometry import InputGrid, antialias, grid_points, sample_volume
from training.joint_contrasts import grow
from training.sources import (
    LabelFiles,
    RealFiles,
    Source,
    Volume,
    checked,
    find_real_files,
    real_source,
)

CSF, WHITE, CORTEX = 24, 2, 3
# Voxels of white matter so many robust SDs above its median on FLAIR may be lesions nobody drew,
# where the brightest of a component is as bright as a lesion's core.
SUSPICIOUS = 2.5
VERY_BRIGHT = 4.0
LEAST_VOXELS = 3
FLUID = (4, 14, 31)  # ventricles and choroid plexus, as label_groups leaves them
MIDLINE = 3  # voxels
# But 50 to 90 % of those lie where a teacher's cortex is a voxel or two too thin.
CORTEX_VOXELS = 2


def label_groups() -> list[list[int]]:
    """Labels kept apart on a real head: the classes, then all the rest as CSF.

    A teacher's lesions count as white matter, as its hypointensities do: drawn ones alone are
    learnt.
    """
    known = [list(labels) for _, labels in CLASSES[LESION + 1 :]]
    next(group for group in known if group[0] == WHITE).extend(CLASSES[LESION][1])
    named = {number for group in known for number in group}
    rest = [n for n in range(1, 165) if n not in named and n != CSF]
    return [*known, [CSF, *rest]]


def find_heads(
    bids_dir: Path, labels: LabelFiles, subjects, lesions: Path | None, generator=None
) -> list[Source]:
    """Every session of ``subjects`` with a FLAIR and structure labels, with all its contrasts.

    World mm are those of the FLAIR. ``lesions`` is a derivatives folder with drawn masks of all
    lesions on the FLAIR's grid, ``*_label-lesion_desc-consensus_mask`` or ``*_label-L_*mask``;
    heads without one get ``unknown`` instead, the voxels that may be lesions. With a
    ``generator`` (numpy), which makes their texture, drawn lesions are filled, too.
    """
    found = []
    for files in find_real_files(bids_dir, labels, subjects, "FLAIR"):
        source = real_source(files, None, (1.0, 1.0, 1.0), label_groups(), labels.thalamus_numbers)
        folder = files.image.parent.relative_to(bids_dir)
        prefix = files.image.name.removesuffix("_FLAIR.nii.gz")
        source.images = {"FLAIR": source.image}
        for contrast in CONTRASTS[:2]:
            path = files.image.with_name(f"{prefix}_{contrast}.nii.gz")
            if path.exists():
                given = labels.transform(folder, prefix, contrast, "FLAIR")
                source.images[contrast] = _volume(path, checked(given, files.image, path, contrast))
        drawn = _drawn(lesions, folder, prefix)
        if drawn is None:
            source.unknown = _suspicious(source, files)
        else:
            source.lesions = _volume(drawn, np.eye(4), mask=True)
            if generator is not None:
                source.filled = _filled(source, generator)
        found.append(source)
    return found


def _volume(path: Path, matrix: np.ndarray, *, mask: bool = False) -> Volume:
    """An image whose points are reached from the FLAIR's by ``matrix`` (4x4 RAS)."""
    image = nib.as_closest_canonical(nib.load(path))
    data = image.get_fdata(dtype=np.float32)
    if mask:
        data = (data > 0).astype(np.float32)
    else:
        data = antialias(data, np.asarray(image.header.get_zooms()[:3], float), np.ones(3))
    return Volume(data, np.linalg.inv(image.affine) @ matrix)


def _drawn(folder: Path | None, session: Path, prefix: str) -> Path | None:
    if folder is None:
        return None
    names = ("label-lesion_desc-consensus_mask", "label-L_mask", "label-L_desc-*_mask")
    files = [f for n in names for f in sorted((folder / session).glob(f"{prefix}_*{n}.nii.gz"))]
    return files[0] if files else None


def _filled(source: Source, generator) -> dict:
    """Images by contrast, on the grid of the labels, with the drawn lesions filled.

    A head of an MS patient then stands for one with few lesions or none, whose white matter and
    cortex are known to show nothing: there are no other such heads to learn from.
    """
    import torch

    labels = source.labels
    lesions = grow(torch.from_numpy(_on_labels(source.lesions, labels) > 0.5), 1).numpy()
    white = labels.data == WHITE
    return {
        name: Volume(
            fill_lesions(_on_labels(image, labels), lesions, white, np.ones(3), generator),
            labels.world_to_voxel,
        )
        for name, image in source.images.items()
    }


def _on_labels(volume: Volume, labels: Volume) -> np.ndarray:
    """A volume sampled on the 1 mm grid of the labels."""
    import torch

    matrix = volume.world_to_voxel @ np.linalg.inv(labels.world_to_voxel)
    points = grid_points(InputGrid(labels.data.shape, (1.0, 1.0, 1.0)), matrix)
    return sample_volume(torch.from_numpy(volume.data), points).numpy()


def _suspicious(source: Source, files: RealFiles) -> Volume:
    """What may be a lesion that nobody drew, on the grid of the labels.

    Bright white matter, but for what borders on cortex, and whatever the teacher calls ventricle or
    plexus although FLAIR is brighter there than white matter, but for the septum: so do teachers
    that know no lesions call the cores of bright ones. Of these, components with a very bright
    voxel count, and their rim; fainter ones are in the kit's heads uneven white matter, which is to
    be learnt as such.
    """
    import torch

    labels = source.labels
    flair = _on_labels(source.image, labels)
    white = labels.data == WHITE
    if not white.any():
        raise ValueError(f"{files.labels} shows no cerebral white matter")
    median = np.median(flair[white])
    brightness = (flair - median) / (1.4826 * np.median(np.abs(flair[white] - median)))
    near_cortex = grow(torch.from_numpy(labels.data == CORTEX), CORTEX_VOXELS).numpy()
    bright = white & (brightness > SUSPICIOUS) & ~near_cortex
    bright |= np.isin(labels.data, FLUID) & (brightness > 0) & ~_septum(labels.data)
    parts, count = ndimage.label(bright, np.ones((3, 3, 3)))
    kept = np.bincount(parts.ravel(), minlength=count + 1) >= LEAST_VOXELS
    kept[1:] &= ndimage.maximum(brightness, parts, np.arange(1, count + 1)) > VERY_BRIGHT
    kept[0] = False
    kept = torch.from_numpy(kept[parts])
    return Volume(grow(kept, 1).numpy().astype(np.float32), labels.world_to_voxel)


def _septum(labels):
    """Where the ventricles lie next to the midline (X, Y, Z, bool): septum and fornix are there.

    Real heads have one number for both ventricles, which septum_pellucidum tells apart by two.
    """
    fluid = np.isin(labels, FLUID)
    if not fluid.any():
        return fluid
    sideways = np.arange(len(labels))
    middle = np.median(np.nonzero(fluid)[0])
    return fluid & (np.abs(sideways - middle) <= MIDLINE)[:, None, None]
