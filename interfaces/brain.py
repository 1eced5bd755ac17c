"""Brain mask (deepbet) and bias field correction (N4 of antspyx)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from interfaces.images import isotropic_grid, resample, save_nifti, stem
from measures import image_checks

THICK_MM = 1.5  # images with a coarser voxel edge go to deepbet on a 1 mm grid
N4_GRID_MM = 5.0  # N4 runs on blocks of voxels of about this size
N4_ITERATIONS = (30, 30, 30, 30)
N4_TOLERANCE = 1e-5


class NoBrainError(RuntimeError):
    """deepbet found nothing that looks like a brain."""


def voxel_ml(affine) -> float:
    """Volume of one voxel (ml)."""
    return float(abs(np.linalg.det(np.asarray(affine)[:3, :3]))) / 1000.0


def solid(mask):
    """The largest object of a 3D boolean array, its holes filled."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    if count > 1:
        mask = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    return ndimage.binary_fill_holes(mask)


def use_threads(threads: int) -> None:
    """Limit torch to a number of threads in this process."""
    import torch

    torch.set_num_threads(max(1, int(threads)))


def predict_brain(data, affine, *, device: str = "cpu", threads: int = 1):
    """Brain mask (bool, the grid of `data`) of a head by deepbet (Fisch et al. 2024).

    deepbet samples what it is given to 256 voxels an axis by nearest neighbour, so that thick
    slices come out ragged.  Images with a voxel edge above 1.5 mm are therefore brought to a 1 mm
    RAS grid first; the mask comes back smoothed (1 mm) and linearly interpolated.  Raises
    NoBrainError when deepbet finds no brain.
    """
    from deepbet.bet import BrainExtraction
    from scipy import ndimage

    from networks.memory import keep_freed_memory

    keep_freed_memory()
    use_threads(threads)
    spacing = 1.0 if image_checks.slice_thickness_mm(affine) > THICK_MM else None
    if spacing:
        grid, shape = isotropic_grid(affine, data.shape, spacing)
        head = resample(data, affine, grid, shape)
    else:
        import nibabel as nib

        canonical = nib.as_closest_canonical(nib.Nifti1Image(data, affine))
        grid, head = canonical.affine, np.asarray(canonical.dataobj, np.float32)
    try:
        brain = BrainExtraction(no_gpu=not device.startswith("cuda")).run_model(head.copy())
    except (AssertionError, ValueError) as error:
        raise NoBrainError("no brain was found") from error
    found = solid(brain > 0.5)
    if spacing:
        soft = ndimage.gaussian_filter(found.astype(np.float32), 1.0)
        return resample(soft, grid, affine, data.shape) > 0.5
    return resample(found, grid, affine, data.shape, order=0) > 0.5


def mask_of_extracted(data):
    """Brain mask (bool) of an image whose skull was removed before: all that is not background.

    Ringing of an earlier interpolation (below 1% of the bright end) is background.
    """
    from scipy import ndimage

    positive = data[data > 0]
    level = 0.01 * np.percentile(positive, 99) if positive.size else 0.0
    return solid(ndimage.binary_closing(np.abs(data) > level, iterations=2))


def n4_field(data, mask, affine):
    """Multiplicative bias field (float32, the grid of `data`) by N4 (Tustison et al. 2010).

    N4 sees the mean of the masked voxels in blocks of about 5 mm, which is its shrink factor
    without loss of thick slices, cut out around the brain, and fits a spline with 8 spans an axis
    at the finest of four levels.  The logarithm of the field is interpolated to the image; its
    mean in the mask is 0.  Outside of the mask the field is the spline's extrapolation, limited to
    the range inside and constant further out.
    """
    import os

    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    import ants

    size = np.sqrt((np.asarray(affine)[:3, :3] ** 2).sum(axis=0))
    factors = np.maximum(1, np.round(N4_GRID_MM / size)).astype(int)
    weight = _block_sum(mask.astype(np.float32), factors)
    total = _block_sum(np.where(mask, np.maximum(data, 0), 0).astype(np.float32), factors)
    inside = (weight > 0.3 * np.prod(factors)) & (total > 0)
    mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    if not inside.any():
        return np.ones(data.shape, np.float32)
    box = tuple(slice(max(int(w.min()) - 2, 0), int(w.max()) + 3) for w in np.nonzero(inside))
    spacing = tuple(float(s) for s in size * factors)
    field = ants.n4_bias_field_correction(
        ants.from_numpy(np.ascontiguousarray(mean[box]), spacing=spacing),
        mask=ants.from_numpy(inside[box].astype(np.float32), spacing=spacing),
        shrink_factor=1,
        convergence={"iters": list(N4_ITERATIONS), "tol": N4_TOLERANCE},
        return_bias_field=True,
    ).numpy()
    known = inside[box]
    log = np.log(np.clip(field, 1e-3, 1e3))
    log = np.clip(log, log[known].min(), log[known].max()) - log[known].mean()
    ends = zip(box, mean.shape, log.shape, strict=True)
    around = [(b.start, whole - b.start - part) for b, whole, part in ends]
    log = np.pad(log.astype(np.float32), around, mode="edge")
    return np.exp(_enlarge(log, factors, data.shape))


def _block_sum(array, factors):
    """Sum over blocks of voxels; the last block of an axis may be cut short by the image."""
    for axis, factor in enumerate(factors):
        array = np.add.reduceat(array, np.arange(0, array.shape[axis], factor), axis=axis)
    return array


def _enlarge(array, factors, shape):
    """Linear interpolation of block values back to the voxels, one axis after the other."""
    for axis, (factor, length) in enumerate(zip(factors, shape, strict=True)):
        place = (np.arange(length) - (factor - 1) / 2) / factor
        place = np.clip(place, 0, array.shape[axis] - 1)
        low = np.minimum(place.astype(int), max(array.shape[axis] - 2, 0))
        high = np.minimum(low + 1, array.shape[axis] - 1)
        part = (place - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        array = array.take(low, axis) * (1 - part) + array.take(high, axis) * part
    return array


class _BrainMaskInputSpec(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="checked image")
    skull_strip = traits.Enum("auto", "skip", "force", usedefault=True, desc="as --skull-strip")
    device = traits.Str("cpu", usedefault=True, nohash=True, desc="cpu, cuda or cuda:n")
    num_threads = traits.Int(1, usedefault=True, nohash=True, desc="torch threads")


class _BrainMaskOutputSpec(TraitedSpec):
    out_mask = File(desc="brain mask, uint8, on the grid of the image")
    volume_ml = traits.Float(desc="volume of the mask (ml)")
    flag = traits.Str(desc="'ok' or why the mask is implausible")
    method = traits.Enum("deepbet", "given", desc="whether the skull had been removed before")


class BrainMask(SimpleInterface):
    """Brain mask of a T1w, FLAIR or T2w head on its own grid; one object without holes.

    `auto` takes an image whose skull is gone as it is, `skip` does so always, `force` never.
    """

    input_spec = _BrainMaskInputSpec
    output_spec = _BrainMaskOutputSpec

    def _run_interface(self, runtime):
        import nibabel as nib

        image = nib.load(self.inputs.in_file)
        data, affine = np.asarray(image.dataobj, np.float32), image.affine
        given = self.inputs.skull_strip == "skip" or (
            self.inputs.skull_strip == "auto"
            and image_checks.is_brain_extracted(data, image.header.get_zooms()[:3])
        )
        mask = mask_of_extracted(data) if given else self._predict(data, affine)
        volume = float(mask.sum() * voxel_ml(affine))
        out = Path(runtime.cwd) / f"{stem(self.inputs.in_file)}_mask.nii.gz"
        self._results["out_mask"] = save_nifti(mask.astype(np.uint8), affine, out)
        self._results["volume_ml"] = volume
        self._results["flag"] = image_checks.mask_flag(
            volume, image_checks.mask_contrast(data, mask)
        )
        self._results["method"] = "given" if given else "deepbet"
        return runtime

    def _predict(self, data, affine):
        try:
            mask = predict_brain(
                data, affine, device=self.inputs.device, threads=self.inputs.num_threads
            )
        except NoBrainError:
            mask = np.zeros(1, bool)
        if not mask.any():
            raise image_checks.ImageError(
                f"{Path(self.inputs.in_file).name} shows no brain that could be found: look at "
                "the image, or give --skull-strip skip if its skull was removed."
            )
        return mask


class _N4InputSpec(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="checked image")
    mask_file = File(exists=True, mandatory=True, desc="brain mask on the same grid")


class _N4OutputSpec(TraitedSpec):
    out_file = File(desc="bias-corrected image, float32, whole head")


class N4BiasFieldCorrection(SimpleInterface):
    """Divide an image by its bias field, which is estimated inside the brain mask.

    Voxels outside of the mask are divided by the extrapolated field, so that the head stays whole.
    """

    input_spec = _N4InputSpec
    output_spec = _N4OutputSpec

    def _run_interface(self, runtime):
        import nibabel as nib

        image = nib.load(self.inputs.in_file)
        data = np.asarray(image.dataobj, np.float32)
        mask = np.asarray(nib.load(self.inputs.mask_file).dataobj) > 0
        corrected = (data / n4_field(data, mask, image.affine)).astype(np.float32)
        out = Path(runtime.cwd) / f"{stem(self.inputs.in_file)}_n4.nii.gz"
        self._results["out_file"] = save_nifti(corrected, image.affine, out)
        return runtime
