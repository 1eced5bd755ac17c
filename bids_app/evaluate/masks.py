"""Two mask files on one grid, and the measures of their agreement."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from bids_app.evaluate.lesions import LesionSettings, measure_lesions
from bids_app.sidecars import suffix_of
from measures import agreement

#: Affines may differ by this in any element: mm of position, mm per voxel of direction.
AFFINE_TOLERANCE = 1e-3
#: Values this near to whole numbers are labels.
_LABEL_TOLERANCE = 1e-3

Labels = tuple[int, ...] | None


class ComparisonError(ValueError):
    """Two masks cannot be compared; the message is one sentence that names the files."""


@dataclass(frozen=True)
class Volume:
    """Values (X, Y, Z) of a mask file; a probability map where they lie between labels."""

    path: Path
    values: np.ndarray
    is_probability: bool

    def mask(self, labels: Labels, threshold: float) -> np.ndarray:
        """Return where the volume has one of the labels; None: any label but 0.

        A probability map takes no labels: its mask is where it reaches ``threshold``.
        """
        if labels is None:
            return self.values >= threshold if self.is_probability else self.values != 0
        if self.is_probability:
            raise ComparisonError(
                f"{self.path} is a map of probabilities, in which labels cannot be looked up."
            )
        return np.isin(self.values, labels)


@dataclass(frozen=True)
class VolumePair:
    """A prediction and its reference on one grid in RAS+ order; ``voxel_mm`` has three sizes."""

    pred: Volume
    ref: Volume
    voxel_mm: np.ndarray

    def volume_ml(self, mask: np.ndarray) -> float:
        """Return the volume of a mask on this grid, in mL."""
        return float(np.count_nonzero(mask) * np.prod(self.voxel_mm) / 1000)


def load_pair(pred: Path, ref: Path) -> VolumePair:
    """Read two NIfTI files and turn both to RAS+ order.

    Raises ComparisonError for a file that cannot be read or has no three dimensions, and for grids
    that differ in shape or, beyond 0.001, in affine.
    """
    images = [_open(path) for path in (pred, ref)]
    if images[0].shape != images[1].shape:
        raise ComparisonError(
            f"{pred} and {ref} have different shapes, {_times(images[0])} and {_times(images[1])} "
            "in RAS order; resample one to the other's grid."
        )
    apart = np.abs(images[0].affine - images[1].affine).max()
    if not apart <= AFFINE_TOLERANCE:
        raise ComparisonError(
            f"{pred} and {ref} have different affines (by up to {apart:.4g} in RAS order); "
            "resample one to the other's grid."
        )
    volumes = [_read(path, image) for path, image in zip((pred, ref), images, strict=True)]
    return VolumePair(*volumes, nib.affines.voxel_sizes(images[1].affine))


def measure_masks(
    pair: VolumePair,
    pred: np.ndarray,
    ref: np.ndarray,
    names: Sequence[str],
    window_mm: float | None = None,
    lesions: LesionSettings | None = None,
) -> dict[str, float]:
    """Compute the named measures of two masks (X, Y, Z) of a pair; NaN where one is undefined.

    ``window_mm`` limits the false positive rate to the box of the reference grown by so much;
    lesion-wise measures need ``lesions``, with whose bins their columns may end.
    """
    pred_ml, ref_ml = pair.volume_ml(pred), pair.volume_ml(ref)
    size = pair.voxel_mm
    compute = {
        "dice": lambda: agreement.dice(pred, ref),
        "true_positive_rate": lambda: agreement.true_positive_rate(pred, ref),
        "false_positive_rate": lambda: _false_positive_rate(pred, ref, size, window_mm),
        "sensitivity": lambda: agreement.true_positive_rate(pred, ref),
        "positive_predictive_value": lambda: agreement.positive_predictive_value(pred, ref),
        "hausdorff_mm": lambda: agreement.hausdorff_distance_mm(pred, ref, size),
        "hausdorff95_mm": lambda: agreement.hausdorff_distance_mm(pred, ref, size, 95),
        "surface_distance_mm": lambda: agreement.mean_surface_distance_mm(pred, ref, size),
        "volume_difference_ml": lambda: pred_ml - ref_ml,
        "volume_difference_percent": lambda: agreement.volume_difference_percent(pred_ml, ref_ml),
    }
    by_lesion = {}
    if not compute.keys() >= set(names):
        by_lesion = measure_lesions(pred, ref, float(np.prod(size)), lesions)
    return {name: compute[name]() if name in compute else by_lesion[name] for name in names}


def _false_positive_rate(pred, ref, voxel_mm, window_mm: float | None) -> float:
    if window_mm is None:
        return agreement.false_positive_rate(pred, ref)
    if not ref.any():
        return float("nan")
    window = agreement.window_around(ref, window_mm, voxel_mm)
    return agreement.false_positive_rate(pred[window], ref[window])


def _open(path: Path) -> nib.spatialimages.SpatialImage:
    """Return an image with three dimensions in RAS+ order; trailing dimensions of 1 are dropped."""
    try:
        image = nib.load(path)
        extra = image.shape[3:]
        if len(image.shape) < 3 or any(size != 1 for size in extra):
            raise ComparisonError(f"{path} has {len(image.shape)} dimensions instead of three.")
        if extra:
            values = np.asanyarray(image.dataobj).reshape(image.shape[:3])
            image = nib.Nifti1Image(values, image.affine, dtype=values.dtype)
        return nib.as_closest_canonical(image)
    except ComparisonError:
        raise
    except _UNREADABLE as error:
        raise ComparisonError(f"{path} cannot be read as an image: {error}") from error


def _read(path: Path, image: nib.spatialimages.SpatialImage) -> Volume:
    try:
        values = np.asanyarray(image.dataobj)
    except _UNREADABLE as error:
        raise ComparisonError(f"{path} cannot be read as an image: {error}") from error
    suffix = suffix_of(path.name)
    whole = np.issubdtype(values.dtype, np.integer)
    if not whole:
        values = np.nan_to_num(values, nan=0.0)
        rounded = np.rint(values)
        whole = bool((np.abs(values - rounded) <= _LABEL_TOLERANCE).all())
        values = rounded if whole and suffix != "probseg" else values
    if whole and suffix != "probseg":
        return Volume(path, values, False)
    if suffix == "dseg":
        raise ComparisonError(f"{path} has values that are no labels; was it interpolated?")
    return Volume(path, values, True)


_UNREADABLE = (nib.filebasedimages.ImageFileError, OSError, EOFError, ValueError, zlib.error)


def _times(image: nib.spatialimages.SpatialImage) -> str:
    return " x ".join(map(str, image.shape))
