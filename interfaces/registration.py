"""Rigid registration within a session, affine registration to the MNI152 template.

All matrices in this file are 4 x 4 and map RAS world points (mm) of the fixed image to those of
the moving image, which is ITK's direction: such a transform pulls the moving image onto the fixed
grid.  `from-FLAIR_to-T1w` has T1w as the fixed image.
"""

from __future__ import annotations

import copy
import os
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
from measures import alignment

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
MARGIN_MM = 12.0  # kept around the brain
RIGID_MM = 1.5  # grid of the rigid registration
AFFINE_MM = 3.0  # grid of the affine registration: 2 mm took five times as long for Dice + 0.001
COARSE_MM = 4.0  # grid on which starting points are compared
EVEN_MM = 20.0  # sigma of the neighbourhood whose mean is made the same all over the brain
TURNS_DEG = (0.0, -20.0, 20.0, -40.0, 40.0)


def write_itk(matrix, path) -> str:
    """Write a RAS matrix (fixed to moving) as an ITK text transform."""
    lps = LPS @ matrix @ LPS
    numbers = " ".join(repr(float(v)) for v in (*lps[:3, :3].ravel(), *lps[:3, 3]))
    text = (
        "#Insight Transform File V1.0\n#Transform 0\n"
        "Transform: AffineTransform_double_3_3\n"
        f"Parameters: {numbers}\nFixedParameters: 0 0 0\n"
    )
    aside = Path(path).with_name("partial_" + Path(path).name)
    aside.write_text(text)
    os.replace(aside, path)
    return str(path)


def from_itk_parameters(parameters, fixed_parameters):
    """RAS matrix of an ITK affine transform's 12 parameters and its centre."""
    parameters = np.asarray(parameters, float)
    centre = np.asarray(fixed_parameters, float)[:3]
    lps = np.eye(4)
    lps[:3, :3] = parameters[:9].reshape(3, 3)
    lps[:3, 3] = parameters[9:12] + centre - lps[:3, :3] @ centre
    return LPS @ lps @ LPS


def read_itk(path):
    """RAS matrix (fixed to moving) of an ITK text transform; ValueError if it is none."""
    lines = dict(line.split(":", 1) for line in Path(path).read_text().splitlines() if ":" in line)
    if "Parameters" not in lines or len(lines["Parameters"].split()) != 12:
        raise ValueError(f"{Path(path).name} is no affine ITK text transform.")
    centre = lines.get("FixedParameters", "0 0 0").split() or [0, 0, 0]
    return from_itk_parameters([float(v) for v in lines["Parameters"].split()], centre)


def write_flirt(matrix, moving_file, fixed_file, path) -> str:
    """Write the same transform as a FLIRT matrix (moving to fixed, FSL's scaled millimetres)."""
    from fsl.data.image import Image
    from fsl.transform import flirt

    moving, fixed = (Image(str(f), loadData=False) for f in (moving_file, fixed_file))
    flirt.writeFlirt(
        flirt.toFlirt(np.linalg.inv(matrix), moving, fixed, "world", "world"), str(path)
    )
    return str(path)


def about(centre, rotation_deg=(0.0, 0.0, 0.0), shift=(0.0, 0.0, 0.0)):
    """Rotation (degrees about the x, y, z axes, in this order) around a centre, then a shift."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", rotation_deg, degrees=True).as_matrix()
    centre = np.asarray(centre, float)
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre + np.asarray(shift, float)
    return matrix


class Head:
    """A head or brain cut out around its mask on an isotropic RAS grid, intensities 0 to 1."""

    def __init__(self, image_file, mask_file, spacing: float, *, masked: bool):
        import nibabel as nib

        image = nib.load(image_file)
        data = np.asarray(image.dataobj, np.float32)
        mask = np.asarray(nib.load(mask_file).dataobj) > 0 if mask_file else data > 0
        inside = data[mask]
        low, high = np.percentile(inside, (1, 99)) if inside.size else (0.0, 1.0)
        data = np.clip((data - min(low, 0.0)) / max(high - min(low, 0.0), 1e-6), 0, 1.2)
        self._from_grid(data, mask, image.affine, spacing, masked)

    def _from_grid(self, data, mask, affine, spacing, masked):
        from scipy import ndimage

        low, high = _box(mask, affine)
        grid, shape = isotropic_grid(affine, data.shape, spacing)
        start = np.floor((low - MARGIN_MM - grid[:3, 3]) / spacing).astype(int).clip(0)
        stop = np.ceil((high + MARGIN_MM - grid[:3, 3]) / spacing).astype(int) + 1
        stop = np.minimum(stop, shape)
        self.affine = grid.copy()
        self.affine[:3, 3] += start * spacing
        shape = tuple(int(n) for n in stop - start)
        size = np.sqrt((np.asarray(affine)[:3, :3] ** 2).sum(axis=0))
        sigma = np.where(spacing > size, 0.35 * spacing / size, 0.0)
        smooth = ndimage.gaussian_filter(data * mask if masked else data, sigma)
        self.data = resample(smooth, affine, self.affine, shape)
        self.mask = resample(mask, affine, self.affine, shape) > 0.5
        self.view = resample(np.ones_like(data), affine, self.affine, shape) > 0.5
        points = np.argwhere(self.mask)
        self.centre = self.affine[:3, :3] @ points.mean(axis=0) + self.affine[:3, 3]

    def coarse(self, spacing: float) -> Head:
        """The same on a coarser grid."""
        out = object.__new__(Head)
        out._from_grid(self.data, self.mask, self.affine, spacing, False)
        return out

    def even(self) -> Head:
        """The same with its bias field, and slow changes of the tissue, taken out of the brain."""
        from scipy import ndimage

        sigma = EVEN_MM / np.linalg.norm(self.affine[:3, 0])
        total = ndimage.gaussian_filter(self.data * self.mask, sigma)
        share = ndimage.gaussian_filter(self.mask.astype(np.float32), sigma)
        local = np.where(self.mask, total / np.maximum(share, 1e-3), 1.0)
        out = copy.copy(self)
        level = np.where(self.mask, 0.6 / np.maximum(local, 1e-3), 1.0)
        out.data = np.clip(self.data * level, 0, 1.2).astype(np.float32)
        return out

    def ants(self, array=None):
        """As an image of antspyx."""
        import ants

        affine = LPS @ self.affine
        spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
        return ants.from_numpy(
            np.ascontiguousarray(self.data if array is None else array, np.float32),
            origin=tuple(float(v) for v in affine[:3, 3]),
            spacing=tuple(float(v) for v in spacing),
            direction=affine[:3, :3] / spacing,
        )


def _box(mask, affine):
    """World bounding box (low, high; mm) of the True voxels of a mask."""
    points = np.argwhere(mask)
    if points.size == 0:
        raise ValueError("The brain mask is empty.")
    ends = np.array([points.min(axis=0), points.max(axis=0)])
    corners = np.array(np.meshgrid(*ends.T)).reshape(3, -1)
    world = affine[:3, :3] @ corners + affine[:3, 3:]
    return world.min(axis=1), world.max(axis=1)


def quality(fixed: Head, moving: Head, matrix) -> tuple[float, float]:
    """(correlation ratio in the brain, Dice of the brain masks), both in the common view."""
    placed = np.linalg.inv(matrix) @ moving.affine
    shape = fixed.data.shape
    mask = resample(moving.mask, placed, fixed.affine, shape) > 0.5
    view = (resample(moving.view, placed, fixed.affine, shape) > 0.5) & fixed.view
    data = resample(moving.data, placed, fixed.affine, shape)
    brain = fixed.mask & mask & view
    return (
        alignment.correlation_ratio(fixed.data, data, brain),
        alignment.dice(fixed.mask, mask, view),
    )


def _score(fixed: Head, moving: Head, matrix) -> float:
    correlation, overlap = quality(fixed, moving, matrix)
    # the masks also count outside of a small common view, so that sliding apart never pays
    share = min(1.0, 1.2 * overlap) if np.isfinite(overlap) else 0.0
    return overlap + 0.5 * correlation * share if np.isfinite(correlation + overlap) else 0.0


def optimise(fixed: Head, moving: Head, start, kind: str, *, seed: int, use_mask: bool, levels):
    """Refine a start matrix by mutual information (antsRegistration); returns a matrix.

    `kind` is Rigid or Affine, `levels` the shrink factors.  ANTS_RANDOM_SEED and one ITK thread
    make the result the same bit for bit.
    """
    import tempfile

    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    os.environ["ANTS_RANDOM_SEED"] = str(int(seed))
    import ants
    from scipy import ndimage

    mask = None
    if use_mask:
        mask = fixed.ants(ndimage.binary_dilation(fixed.mask, iterations=4))
    with tempfile.TemporaryDirectory() as folder:
        initial = write_itk(start, Path(folder) / "start.txt")
        result = ants.registration(
            fixed.ants(),
            moving.ants(),
            kind,
            initial_transform=[initial],
            outprefix=f"{folder}/out_",
            mask=mask,
            mask_all_stages=use_mask,
            aff_random_sampling_rate=0.2,
            aff_iterations=(500,) * (len(levels) - 1) + (100,),
            aff_shrink_factors=tuple(levels),
            aff_smoothing_sigmas=tuple(range(len(levels) - 1, -1, -1)),
        )
        found = ants.read_transform(result["fwdtransforms"][0])
    return from_itk_parameters(found.parameters, found.fixed_parameters)


def starting_points(fixed: Head, moving: Head):
    """Matrices to try: as the scanner says, centre on centre, then the head turned either way."""
    shift = moving.centre - fixed.centre
    yield np.eye(4)
    for turn in TURNS_DEG:
        for axis in range(3):
            if turn or axis == 0:
                rotation = [turn if a == axis else 0.0 for a in range(3)]
                yield about(fixed.centre, rotation, shift)


def register_rigid(fixed: Head, moving: Head, *, seed: int, use_mask: bool = True):
    """Rigid matrix; more starting points are tried only when the first does not convince."""
    small = fixed.coarse(COARSE_MM), moving.coarse(COARSE_MM)
    starts = list(starting_points(*small))
    first = max(starts[:2], key=lambda m: _score(*small, m))
    run = {"seed": seed, "use_mask": use_mask}
    best = optimise(fixed, moving, first, "Rigid", levels=(4, 2, 1), **run)
    correlation, overlap = quality(fixed, moving, best)
    if alignment.coregistration_flag(correlation, overlap) == "ok":
        return best, correlation, overlap
    tried = [optimise(*small, m, "Rigid", levels=(2, 1), **run) for m in starts]
    again = max(tried, key=lambda m: _score(*small, m))
    again = optimise(fixed, moving, again, "Rigid", levels=(2, 1), **run)
    if _score(fixed, moving, again) > _score(fixed, moving, best):
        best = again
    return best, *quality(fixed, moving, best)


def register_affine(fixed: Head, moving: Head, *, seed: int):
    """Affine matrix to a template: starting points at 4 mm, rigid, then affine."""
    small = fixed.coarse(COARSE_MM), moving.coarse(COARSE_MM)
    run = {"seed": seed, "use_mask": False}
    best, score = None, -1.0
    for start in list(starting_points(*small))[1:]:
        rigid = optimise(*small, start, "Rigid", levels=(2, 1), **run)
        matrix = optimise(*small, rigid, "Affine", levels=(2, 1), **run)
        if _score(*small, matrix) > score:
            best, score = matrix, _score(*small, matrix)
        if alignment.template_flag(quality(*small, best)[1]) == "ok":
            break
    best = optimise(fixed, moving, best, "Affine", levels=(1,), **run)
    return best, *quality(fixed, moving, best)


def mni_template() -> Path:
    """MNI152NLin2009aSym T1 that nilearn ships: 1 mm, 197 x 233 x 189, brain only."""
    import importlib.util

    package = importlib.util.find_spec("nilearn")
    name = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    return Path(package.origin).parent / "datasets" / "data" / name


def pull(moving_file, fixed_file, matrix, path, *, order: int) -> str:
    """Resample a file onto another's grid and write it as float32, within its own range."""
    import nibabel as nib

    moving, fixed = nib.load(moving_file), nib.load(fixed_file)
    data = np.asarray(moving.dataobj, np.float32)
    placed = np.linalg.inv(matrix) @ moving.affine
    out = resample(data, placed, fixed.affine, fixed.shape[:3], order=order)
    np.clip(out, min(float(data.min()), 0.0), float(data.max()), out=out)
    return save_nifti(out, fixed.affine, path)


class _RigidInputSpec(BaseInterfaceInputSpec):
    fixed = File(exists=True, mandatory=True, desc="image that stays")
    moving = File(exists=True, mandatory=True, desc="image that is moved, of the same head")
    fixed_mask = File(exists=True, mandatory=True, desc="brain mask of the fixed image")
    moving_mask = File(exists=True, mandatory=True, desc="brain mask of the moving image")
    fixed_name = traits.Str("fixed", usedefault=True, desc="contrast, for file names")
    moving_name = traits.Str("moving", usedefault=True, desc="contrast, for file names")
    random_seed = traits.Int(1, usedefault=True, desc="ANTS_RANDOM_SEED")


class _RigidOutputSpec(TraitedSpec):
    out_itk = File(desc="ITK text transform that pulls the moving image onto the fixed")
    out_flirt = File(desc="the same as a FLIRT matrix (moving to fixed)")
    out_file = File(desc="moving image on the fixed grid (cubic spline, float32)")
    correlation = traits.Float(desc="correlation ratio of the images inside the brain, 0 to 1")
    dice = traits.Float(desc="overlap of the brain masks in the common field of view")
    flag = traits.Str(desc="'ok' or why the registration is not to be believed")


class RigidRegistration(SimpleInterface):
    """Rigid registration of two contrasts of one head by mutual information (antspyx).

    Whole heads at 1.5 mm, compared around the fixed image's brain.  Bit-identical on repeat.
    """

    input_spec = _RigidInputSpec
    output_spec = _RigidOutputSpec

    def _run_interface(self, runtime):
        given = self.inputs
        fixed = Head(given.fixed, given.fixed_mask, RIGID_MM, masked=False)
        moving = Head(given.moving, given.moving_mask, RIGID_MM, masked=False)
        matrix, correlation, overlap = register_rigid(fixed, moving, seed=given.random_seed)
        name = f"from-{given.moving_name}_to-{given.fixed_name}_xfm"
        here = Path(runtime.cwd)
        self._results["out_itk"] = write_itk(matrix, here / f"{name}.txt")
        self._results["out_flirt"] = write_flirt(
            matrix, given.moving, given.fixed, here / f"{name}.mat"
        )
        self._results["out_file"] = pull(
            given.moving,
            given.fixed,
            matrix,
            here / f"{stem(given.moving)}_on_{given.fixed_name}.nii.gz",
            order=3,
        )
        self._results["correlation"] = correlation
        self._results["dice"] = overlap
        self._results["flag"] = alignment.coregistration_flag(correlation, overlap)
        return runtime


class _AffineToMNIInputSpec(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="T1w, FLAIR or T2w of a head")
    mask_file = File(exists=True, mandatory=True, desc="its brain mask")
    name = traits.Str("T1w", usedefault=True, desc="contrast, for file names")
    random_seed = traits.Int(1, usedefault=True, desc="ANTS_RANDOM_SEED")


class _AffineToMNIOutputSpec(TraitedSpec):
    out_itk = File(desc="ITK text transform that pulls the image onto the template")
    out_file = File(desc="the whole image on the template's 1 mm grid (linear, float32)")
    template = File(exists=True, desc="the template")
    correlation = traits.Float(desc="correlation ratio with the template inside the brain")
    dice = traits.Float(desc="overlap of the brain mask with the template's")
    flag = traits.Str(desc="'ok' or why the registration is not to be believed")


class AffineToMNI(SimpleInterface):
    """Affine registration of an extracted brain to MNI152NLin2009aSym (antspyx, 3 mm).

    For orientation and rough location; cortex and ventricles do not match. The image needs no bias
    correction, so that N4 can run beside.
    """

    input_spec = _AffineToMNIInputSpec
    output_spec = _AffineToMNIOutputSpec

    def _run_interface(self, runtime):
        given = self.inputs
        template = mni_template()
        fixed = Head(template, None, AFFINE_MM, masked=True).even()
        moving = Head(given.in_file, given.mask_file, AFFINE_MM, masked=True).even()
        matrix, correlation, overlap = register_affine(fixed, moving, seed=given.random_seed)
        here = Path(runtime.cwd)
        self._results["out_itk"] = write_itk(
            matrix, here / f"from-{given.name}_to-MNI152NLin2009aSym_xfm.txt"
        )
        out = here / f"{stem(given.in_file)}_on_MNI152NLin2009aSym.nii.gz"
        self._results["out_file"] = pull(given.in_file, template, matrix, out, order=1)
        self._results["template"] = str(template)
        self._results["correlation"] = correlation
        self._results["dice"] = overlap
        self._results["flag"] = alignment.template_flag(overlap)
        return runtime
