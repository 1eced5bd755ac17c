"""Is this image a brain scan that the rest of MSMorph can use?  Pure functions, no files.

Every refusal is an `ImageError` whose text is one sentence: the file's name, what is wrong and
the remedy.  Limits are in millimetres and millilitres and are module constants.
"""

from __future__ import annotations

import numpy as np

MAX_AXIS = 1024  # voxels on one axis
MAX_VOXELS = 1.5e9  # voxels in all
MIN_SLICES = 8
VOXEL_RANGE_MM = (0.2, 10.0)
MAX_SLICE_MM = 8.0
SHEAR_TOLERANCE = 0.01  # cosine between two axes that should be perpendicular
AFFINE_CONFLICT_MM = 0.5  # largest corner distance between q-form and s-form that is no conflict
MIN_EXTENT_MM = {"left-right": 80.0, "anterior-posterior": 100.0, "superior-inferior": 60.0}
BRAIN_ML = (700.0, 2100.0)
# Mean inside over mean outside of the mask: at least 4.2 in 22 images of 7 heads, at most 1.0 in
# four of noise, 1.9 in an axial neck.
MIN_CONTRAST = 2.0


class ImageError(ValueError):
    """An image that cannot be used; the message is one sentence with file name and remedy."""


def spatial_shape(shape, name: str, min_slices: int = MIN_SLICES) -> tuple[int, int, int]:
    """Return the three spatial sizes of an image; trailing axes of length 1 are dropped.

    Raises ImageError for anything that is not 3D, is too large to load or has fewer slices than
    ``min_slices``.
    """
    sizes = tuple(int(s) for s in shape)
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes = sizes[:-1]
    if len(sizes) != 3:
        raise ImageError(
            f"{name} has {len(sizes)} dimensions {sizes} but one 3D volume is needed: "
            "give a single volume or leave the file out with --bids-filter-file."
        )
    if max(sizes) > MAX_AXIS or float(np.prod(np.asarray(sizes, float))) > MAX_VOXELS:
        raise ImageError(
            f"{name} declares {sizes[0]} x {sizes[1]} x {sizes[2]} voxels, which is more than a "
            f"head scan has (at most {MAX_AXIS} on an axis): check that its header is not damaged "
            "and resample it to at least 0.25 mm."
        )
    if min(sizes) < min_slices:
        raise ImageError(
            f"{name} has only {min(sizes)} slices and at least {min_slices} are needed: "
            "leave this localiser or partial scan out with --bids-filter-file."
        )
    return sizes


def check_dtype(dtype, name: str) -> None:
    """Raise ImageError when voxels are not single real numbers (RGB, complex)."""
    dtype = np.dtype(dtype)
    if dtype.fields is not None or dtype.kind not in "iufb":
        kind = "colour" if dtype.fields is not None else str(dtype)
        raise ImageError(
            f"{name} stores {kind} voxels and not one real number each: "
            "export the magnitude image as integers or floats."
        )


def check_affine(affine, name: str) -> tuple[float, float, float]:
    """Return the voxel size (mm) of a 4 x 4 affine; ImageError if it is not a scanner's grid."""
    affine = np.asarray(affine, float)
    remedy = "convert the scan again from DICOM, for example with dcm2niix."
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise ImageError(f"{name} has an orientation matrix that is not finite: {remedy}")
    axes = affine[:3, :3]
    size = np.sqrt((axes**2).sum(axis=0))
    if (size == 0).any() or abs(np.linalg.det(axes / np.where(size, size, 1))) < 1e-3:
        raise ImageError(f"{name} has an orientation matrix that is singular: {remedy}")
    low, high = VOXEL_RANGE_MM
    shown = " x ".join(f"{s:.3g}" for s in size)
    if (size < low).any() or (size > high).any():
        raise ImageError(
            f"{name} has voxels of {shown} mm, outside of {low:g} to {high:g} mm: "
            "check the units in its header or convert it again from DICOM."
        )
    if size.max() > MAX_SLICE_MM:
        raise ImageError(
            f"{name} has slices {size.max():.3g} mm apart and at most {MAX_SLICE_MM:g} mm can be "
            "measured: use an acquisition with thinner slices."
        )
    unit = axes / size
    if np.abs(unit.T @ unit - np.eye(3)).max() > SHEAR_TOLERANCE:
        raise ImageError(f"{name} has sheared voxel axes, which is no MRI grid: {remedy}")
    return tuple(float(s) for s in size)


def choose_affine(sform, sform_code: int, qform, qform_code: int, shape) -> tuple:
    """Return (affine to use, its name, note): s-form first, then q-form, as nibabel does.

    `sform` and `qform` are 4 x 4 or None.  The note is '' or one clause saying that the two
    disagree (the largest distance between the corners of the grid, mm) or that both are absent.
    The affine is None when there is neither.
    """
    has_s, has_q = sform is not None and sform_code > 0, qform is not None and qform_code > 0
    if not has_s and not has_q:
        return (
            None,
            "none",
            ("its header says no orientation, so that left and right follow the NIfTI default"),
        )
    if not has_s:
        return np.asarray(qform, float), "qform", ""
    if has_q:
        corners = np.array(np.meshgrid(*[(0, s - 1) for s in shape[:3]])).reshape(3, -1)
        delta = np.asarray(sform, float) - np.asarray(qform, float)
        gap = np.sqrt(((delta[:3, :3] @ corners + delta[:3, 3:]) ** 2).sum(axis=0)).max()
        if not gap <= AFFINE_CONFLICT_MM:
            return (
                np.asarray(sform, float),
                "sform",
                (f"its s-form and q-form disagree by up to {gap:.1f} mm and the s-form was used"),
            )
    return np.asarray(sform, float), "sform", ""


def check_values(data, name: str) -> None:
    """Raise ImageError when a 3D array is constant, all zero or mostly not finite."""
    finite = np.isfinite(data)
    if finite.mean() < 0.99:
        raise ImageError(
            f"{name} has {100 * (1 - finite.mean()):.0f}% voxels that are not finite numbers: "
            "export the scan again."
        )
    values = data[finite]
    if values.size == 0 or values.min() == values.max():
        what = "only zeros" if values.size and values.max() == 0 else "one constant value"
        raise ImageError(f"{name} holds {what} and no picture: export the scan again.")


def anatomical_extent(data, affine) -> dict[str, float]:
    """Extent (mm) of the imaged head along the patient's axes.

    A plane counts when more than 1% of its voxels exceed a tenth of the image's bright end (99.5th
    percentile), so that noise and the empty margin of the grid do not count.
    """
    data = np.asarray(data)
    sub = data[::2, ::2, ::2]
    bright = data > 0.1 * np.percentile(sub[np.isfinite(sub)], 99.5)
    axes = np.asarray(affine, float)[:3, :3]
    size = np.sqrt((axes**2).sum(axis=0))
    extent = np.zeros(3)
    for axis in range(3):
        planes = bright.mean(axis=tuple(a for a in range(3) if a != axis)) > 0.01
        where = np.flatnonzero(planes)
        length = (where[-1] - where[0] + 1) * size[axis] if where.size else 0.0
        direction = np.abs(axes[:, axis] / size[axis])
        extent[direction.argmax()] = max(extent[direction.argmax()], length)
    return dict(zip(MIN_EXTENT_MM, extent.tolist(), strict=True))


def check_brain_coverage(data, affine, name: str) -> None:
    """Raise ImageError when what is imaged is too small to be a whole brain."""
    extent = anatomical_extent(data, affine)
    for axis, least in MIN_EXTENT_MM.items():
        if extent[axis] < least:
            raise ImageError(
                f"{name} covers {extent[axis]:.0f} mm {axis} and a brain needs {least:.0f} mm, so "
                "it looks like a cord or cropped image: name cord images acq-cspine, or leave it "
                "out with --bids-filter-file."
            )


def slice_thickness_mm(affine) -> float:
    """Distance between slices (mm): the largest voxel edge."""
    axes = np.asarray(affine, float)[:3, :3]
    return float(np.sqrt((axes**2).sum(axis=0)).max())


def is_brain_extracted(data, voxel_size_mm=(1.0, 1.0, 1.0)) -> bool:
    """Whether the skull was already removed from a 3D image.

    Such an image is zero but for one object of a brain's volume (at most 2.1 L; 1% of the bright
    end is allowed for ringing of an interpolation) that leaves both ends of the grid and its sides
    free.  A head with zeroed air has 2.5 L or more, or is cut by the grid.  In doubt: False, since
    brain extraction does no harm to an extracted brain.
    """
    from scipy import ndimage

    data = np.nan_to_num(np.asarray(data, np.float32))
    positive = data[data > 0]
    if positive.size == 0 or (np.abs(data) <= 1e-6 * positive.max()).mean() < 0.25:
        return False
    foreground = np.abs(data) > 0.01 * np.percentile(positive, 99)
    labels, count = ndimage.label(foreground)
    if count == 0:
        return False
    sizes = np.bincount(labels.ravel())[1:]
    if sizes.max() < 0.98 * sizes.sum():
        return False
    body = ndimage.binary_fill_holes(labels == sizes.argmax() + 1)
    volume_ml = body.sum() * float(np.prod(voxel_size_mm)) / 1000.0
    if not BRAIN_ML[0] <= volume_ml <= BRAIN_ML[1]:
        return False
    faces = [body.take(i, axis=a).mean() for a in range(3) for i in (0, -1)]
    return max(faces) < 0.05


def mask_contrast(data, mask) -> float:
    """Mean intensity inside a brain mask over that of the rest of the image (air and scalp).

    inf when all the rest is zero or below, nan when the mask is empty or fills the image.
    """
    mask = np.asarray(mask, bool)
    if not mask.any() or mask.all():
        return float("nan")
    inside, outside = float(data[mask].mean(dtype=float)), float(data[~mask].mean(dtype=float))
    return inside / outside if outside > 0 else float("inf")


def mask_flag(volume_ml: float, contrast: float = float("inf")) -> str:
    """'ok', or why a brain mask of this volume (ml) and contrast cannot be right.

    The volume alone is not enough: deepbet draws a brain of plausible size into pure noise.
    """
    low, high = BRAIN_ML
    if not low <= volume_ml <= high:
        return f"brain mask of {volume_ml:.0f} ml is outside of {low:.0f} to {high:.0f} ml"
    if not contrast >= MIN_CONTRAST:
        return f"brain mask is only {contrast:.1f} times as bright as the rest of the image"
    return "ok"
