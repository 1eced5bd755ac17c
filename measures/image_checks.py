"""Is this image a brain scan that the rest of MSMorph can use?  Pure functions, no files.

Every refusal is an `ImageError` whose text is one sentence: the file's name, what is wrong and
the remedy.  Limits are in millimetres and millilitres and are module constants.
"""

from __future__ import annotations

import numpy as np

MAX_AXIS = 1024  # voxels on one axis
# Float32 copies of an image stay below 1.2 GB; a head at 0.4 mm has 2.6e8 voxels.
MAX_VOXELS = 3e8
MIN_SLICES = 8
VOXEL_RANGE_MM = (0.2, 10.0)
MAX_SLICE_MM = 8.0
# A brain is resampled to 1 mm, so that its field of view decides on memory, not its voxels alone.
MAX_EXTENT_MM = 600.0  # of a head scan along one axis; a scanner's field is 500 mm
MAX_SPINE_MM = 1500.0
MAX_ORIGIN_MM = 10000.0  # from the scanner's centre; further out, rounding moves the voxels
# Beyond, single precision overflows in sums of squares, or rounds the picture away.
VALUE_RANGE = (1e-12, 1e12)
# Magnitudes are positive; an interpolation rings below zero by less than this share of the bright
# end, or in few voxels.
NEGATIVE_LEVEL, NEGATIVE_SHARE = 0.1, 0.01
CONTRARY_COSINE = 0.7  # between the same voxel axis in q-form and s-form: 45 degrees
DEFLATE_RATIO = 1032  # no gzip stream expands more (zlib's technical notes)
MAX_HEADER_BYTES = 64 * 1024**2  # header with its extensions
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
            f"{name} declares {sizes[0]} x {sizes[1]} x {sizes[2]} voxels, more than a head scan "
            f"has (at most {MAX_AXIS} on an axis, {MAX_VOXELS / 1e6:.0f} million in all): check "
            "that its header is not damaged and resample it to voxels of 0.5 mm or more."
        )
    if min(sizes) < min_slices:
        raise ImageError(
            f"{name} has only {min(sizes)} along an axis where a scan needs {min_slices} slices: "
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


def check_stored_size(header_bytes: int, data_bytes: int, file_bytes: int, packed: bool, name: str):
    """Raise ImageError when a file cannot hold what its header declares (numbers of bytes).

    Judged before anything is read, so that a small file cannot fill the memory; ``packed`` tells a
    gzip file, which may hold 1032 times its size.
    """
    if not 0 <= header_bytes <= MAX_HEADER_BYTES:
        raise ImageError(
            f"{name} declares a header of {header_bytes / 1e6:.3g} MB and is damaged: "
            "copy or export it again."
        )
    if header_bytes + data_bytes > file_bytes * (DEFLATE_RATIO if packed else 1):
        raise ImageError(
            f"{name} holds {file_bytes} bytes, too few for the {data_bytes / 1e6:.3g} MB that its "
            "header declares, so it is damaged or incomplete: copy or export it again."
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


def check_field_of_view(affine, shape, name: str, longest_mm: float = MAX_EXTENT_MM) -> None:
    """Raise ImageError when a grid is larger or further off than a scan can be.

    ``affine`` is 4 x 4, ``shape`` has three sizes, ``longest_mm`` is the longest axis allowed.
    """
    affine = np.asarray(affine, float)
    extent = np.sqrt((affine[:3, :3] ** 2).sum(axis=0)) * shape[:3]
    if extent.max() > longest_mm:
        raise ImageError(
            f"{name} would cover {extent.max():.0f} mm along an axis, and more than "
            f"{longest_mm:.0f} mm is no scan: check the voxel size in its header or convert it "
            "again from DICOM."
        )
    if np.abs(affine[:3, 3]).max() > MAX_ORIGIN_MM:
        raise ImageError(
            f"{name} lies {np.abs(affine[:3, 3]).max():.3g} mm from the scanner's centre by its "
            "header: convert the scan again from DICOM, for example with dcm2niix."
        )


def check_orientations_agree(sform, qform, name: str) -> None:
    """Raise ImageError when two 4 x 4 affines turn or mirror the head against one another.

    One of the two has left and right, or up and down, wrong, and nothing tells which. Small angles
    and shifts pass; :func:`choose_affine` makes a note of them.
    """
    first, second = (np.asarray(form, float)[:3, :3] for form in (sform, qform))
    sizes = np.sqrt((first**2).sum(axis=0)) * np.sqrt((second**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = (first * second).sum(axis=0) / sizes
    if (cosines < CONTRARY_COSINE).any():  # not a number: check_affine names what is wrong
        raise ImageError(
            f"{name} has an s-form and a q-form that turn or mirror the head against one another, "
            "so that its sides are unknown: correct its header or convert it again from DICOM."
        )


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
    """Raise ImageError when a 3D array is constant, not finite, or holds what no magnitude does."""
    finite = np.isfinite(data)
    if finite.mean() < 0.99:
        raise ImageError(
            f"{name} has {100 * (1 - finite.mean()):.0f}% voxels that are not finite numbers: "
            "export the scan again."
        )
    values = data if finite.all() else data[finite]
    if values.size == 0 or values.min() == values.max():
        what = "only zeros" if values.size and values.max() == 0 else "one constant value"
        raise ImageError(f"{name} holds {what} and no picture: export the scan again.")
    largest = max(abs(float(values.min())), abs(float(values.max())))
    if not VALUE_RANGE[0] <= largest <= VALUE_RANGE[1]:
        raise ImageError(
            f"{name} has values up to {largest:.3g}, which no scanner gives: "
            "check the scaling (scl_slope) in its header or convert it again from DICOM."
        )
    bright = np.percentile(np.abs(values[::7] if values.ndim == 1 else values[::2, ::2, ::2]), 99.5)
    negative = float((values < -NEGATIVE_LEVEL * bright).mean())
    if negative > NEGATIVE_SHARE:
        raise ImageError(
            f"{name} is far below zero in {100 * negative:.0f}% of its voxels, as after an integer "
            "overflow or in an image that is no MRI magnitude: export it again without rescaling."
        )


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
