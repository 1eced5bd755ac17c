"""Reading a raw image safely, and the grid arithmetic that the other interfaces share."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from measures import image_checks
from measures.image_checks import ImageError

READ_ERRORS = (OSError, EOFError, zlib.error, ValueError, MemoryError, OverflowError)


def stem(path) -> str:
    """File name without .nii or .nii.gz."""
    name = Path(path).name
    for ending in (".nii.gz", ".nii", ".mgz"):
        if name.endswith(ending):
            return name[: -len(ending)]
    return name


def save_nifti(data, affine, path, *, code: int = 1) -> str:
    """Write an array with q-form and s-form both set; aside first, then under its name."""
    import nibabel as nib

    image = nib.Nifti1Image(data, affine)
    image.header.set_data_dtype(data.dtype)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    aside = Path(path).with_name("partial_" + Path(path).name)
    nib.save(image, aside)
    os.replace(aside, path)
    return str(path)


def read_checked(path, *, brain: bool = True) -> tuple:
    """Read and check a raw image, which is to show a whole ``brain`` or else anything.

    Returns (data float32 of shape (x, y, z), affine 4 x 4, note); the note is '' or says what was
    decided about a contradictory header.  Raises ImageError (one sentence) for anything unusable.
    The header is judged before any voxel is read, so that a damaged one cannot fill the memory.
    """
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    name = Path(path).name
    damaged = f"{name} cannot be read, it may be damaged or incomplete: copy or export it again."
    try:
        header_bytes = _data_offset(path)
        _check_room(path, header_bytes, 0)
        image = nib.load(path)
        dtype = image.get_data_dtype()
    except (*READ_ERRORS, ImageFileError, HeaderDataError, AttributeError) as error:
        raise error if isinstance(error, ImageError) else ImageError(damaged) from error
    min_slices = image_checks.MIN_SLICES if brain else 1
    shape = image_checks.spatial_shape(image.shape, name, min_slices)
    image_checks.check_dtype(dtype, name)
    affine, note = _affine_of(image, shape, name)
    image_checks.check_affine(affine, name)
    longest_mm = image_checks.MAX_EXTENT_MM if brain else image_checks.MAX_SPINE_MM
    image_checks.check_field_of_view(affine, shape, name, longest_mm)
    _check_room(path, header_bytes, int(np.prod(shape)) * dtype.itemsize)
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is judged below
            data = np.asarray(image.dataobj, dtype=np.float32).reshape(shape)
    except READ_ERRORS as error:
        raise ImageError(damaged) from error
    image_checks.check_values(data, name)
    data = np.nan_to_num(data, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    if brain:
        image_checks.check_brain_coverage(data, affine, name)
    return data, affine, f"{name}: {note}." if note else ""


def _check_room(path, header_bytes: int, data_bytes: int) -> None:
    """Raise ImageError when the file cannot hold so many bytes."""
    path = Path(path)
    image_checks.check_stored_size(
        header_bytes, data_bytes, path.stat().st_size, _is_packed(path), path.name
    )


def _is_packed(path) -> bool:
    """Whether a file begins as gzip does."""
    with open(path, "rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _data_offset(path) -> int:
    """Where a NIfTI file says that its voxels begin; 0 for what nibabel will refuse.

    nibabel reads all before it, the extensions, as soon as it opens the file.
    """
    opener = gzip.open if _is_packed(path) else open
    with opener(path, "rb") as stream:
        start = stream.read(176)
    for order in "<>":
        for size, place, kind in ((348, 108, "f"), (540, 168, "q")):
            if len(start) == 176 and struct.unpack_from(f"{order}i", start)[0] == size:
                return int(struct.unpack_from(f"{order}{kind}", start, place)[0])
    return 0


def _affine_of(image, shape, name: str) -> tuple:
    """The affine that holds for a loaded image, and a note about its header."""
    header = image.header
    if not hasattr(header, "get_sform"):
        return np.asarray(image.affine, float), ""
    try:
        qform, q_code = header.get_qform(coded=True)
    except Exception:  # an impossible quaternion: the s-form may still hold
        qform, q_code = None, 0
    sform, s_code = header.get_sform(coded=True)
    if sform is not None and qform is not None and s_code > 0 and q_code > 0:
        image_checks.check_orientations_agree(sform, qform, name)
    affine, _, note = image_checks.choose_affine(sform, int(s_code), qform, int(q_code), shape)
    return (np.asarray(image.affine, float) if affine is None else affine), note


def isotropic_grid(affine, shape, spacing: float) -> tuple:
    """Return (affine, shape) of the RAS grid of cubic voxels (mm) that covers a given grid."""
    from nibabel.spaces import vox2out_vox

    new_shape, new_affine = vox2out_vox((shape, affine), (spacing,) * 3)
    return np.asarray(new_affine, float), tuple(int(s) for s in new_shape)


def resample(data, affine, to_affine, to_shape, *, order: int = 1, fill: float = 0.0):
    """Resample a 3D array from one grid onto another by world coordinates (float32).

    Beyond the last voxel centres of the source the value is `fill`.
    """
    from scipy.ndimage import affine_transform

    matrix = np.linalg.inv(affine) @ to_affine
    return affine_transform(
        np.asarray(data, np.float32),
        matrix[:3, :3],
        offset=matrix[:3, 3],
        output_shape=tuple(to_shape),
        order=order,
        mode="constant",
        cval=fill,
    )


class _CheckImageInputSpec(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="raw image of a head")


class _CheckImageOutputSpec(TraitedSpec):
    out_file = File(desc="the same voxels and grid as float32, finite, 3D, q-form = s-form")
    slice_thickness_mm = traits.Float(desc="largest voxel edge (mm)")
    voxel_size_mm = traits.Tuple(traits.Float, traits.Float, traits.Float, desc="voxel edges (mm)")
    note = traits.Str(desc="'' or a sentence about a contradictory header")


class CheckImage(SimpleInterface):
    """Refuse an unusable image with one sentence; pass a usable one on in a uniform header.

    The voxel grid (shape, order, orientation) is that of the input.
    """

    input_spec = _CheckImageInputSpec
    output_spec = _CheckImageOutputSpec

    def _run_interface(self, runtime):
        data, affine, note = read_checked(self.inputs.in_file)
        out = Path(runtime.cwd) / f"{stem(self.inputs.in_file)}_checked.nii.gz"
        self._results["out_file"] = save_nifti(data, affine, out)
        self._results["slice_thickness_mm"] = image_checks.slice_thickness_mm(affine)
        name = Path(self.inputs.in_file).name
        self._results["voxel_size_mm"] = image_checks.check_affine(affine, name)
        self._results["note"] = note
        return runtime
