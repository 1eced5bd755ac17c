"""Pictures for the reports: slices of an image with the outlines of masks on top.

An SVG holds the slices as embedded rasters and the outlines as lines; :mod:`interfaces.drawing`
does the drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    InputMultiObject,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from interfaces.drawing import (
    AXIAL,
    CORONAL,
    PALETTE,
    SAGITTAL,
    Panel,
    Picture,
    Volume,
    bounding_box,
    load_mask,
    load_ras,
    spread,
)
from interfaces.images import resample


@dataclass(frozen=True)
class Contour:
    """An outline: where ``path`` equals ``value``, or is above 0.5 when ``value`` is None."""

    path: str | Path
    color: str
    label: str
    value: int | None = None


def mosaic(
    image_path,
    contours: Sequence[Contour | tuple],
    out_svg,
    title: str,
    *,
    zoom_mask=None,
    margin_mm: float = 8.0,
    axial: int = 10,
    others: int = 3,
    per_row: int = 5,
) -> Path:
    """Draw axial slices, then coronal and sagittal ones, with outlines; write an SVG.

    ``contours`` are :class:`Contour` or (path, colour, label[, value]) tuples. Slices are taken
    from, and zoomed to, the true voxels of ``zoom_mask`` (a path; default: all contours
    together), ``margin_mm`` around. Returns the path. A mask without a true voxel is said to be
    empty in the legend, and the whole image is shown.
    """
    image = load_ras(image_path)
    outlines = [c if isinstance(c, Contour) else Contour(*c) for c in contours]
    masks = [load_mask(c.path, image, c.value) for c in outlines]
    target = _target(image, masks, zoom_mask)
    box = bounding_box(target, image.spacing, margin_mm)
    chosen = spread(target, AXIAL, axial, box)[::-1]
    panels = [Panel(AXIAL, i) for i in chosen]
    rows = _in_rows(panels, per_row)
    last = [Panel(CORONAL, i) for i in spread(target, CORONAL, others, box)]
    last += [Panel(SAGITTAL, i) for i in spread(target, SAGITTAL, others, box)]
    if last:
        rows.append(last)
    legend = [
        (c.color, c.label if m.any() else f"{c.label}: empty")
        for c, m in zip(outlines, masks, strict=True)
    ]
    drawn = [(m, c.color) for m, c in zip(masks, outlines, strict=True)]
    picture = Picture([image], [""], target, box, drawn)
    return picture.draw(rows, legend, title, out_svg)


def registration_mosaic(
    fixed,
    moving_resampled,
    contour_mask,
    out_svg,
    *,
    title: str = "Registration",
    fixed_label: str = "fixed",
    moving_label: str = "moving",
    slices: int = 5,
    margin_mm: float = 8.0,
) -> Path:
    """Draw the same slices of two aligned images in turn, with one brain outline on both.

    ``moving_resampled`` lies on the grid of ``fixed``, or is brought there by world coordinates.
    Where the registration is right, the outline follows the brain in both rows. Returns the path.
    """
    still, moved = load_ras(fixed), load_ras(moving_resampled)
    if moved.data.shape != still.data.shape or not np.allclose(
        moved.affine, still.affine, atol=1e-3
    ):
        data = resample(moved.data, moved.affine, still.affine, still.data.shape)
        moved = Volume(data, still.affine)
    mask = load_mask(contour_mask, still)
    target = _target(still, [mask], None)
    box = bounding_box(target, still.spacing, margin_mm)
    top = [Panel(AXIAL, i) for i in spread(target, AXIAL, slices, box)[::-1]]
    side = [Panel(CORONAL, i) for i in spread(target, CORONAL, 2, box)]
    side += [Panel(SAGITTAL, i) for i in spread(target, SAGITTAL, 3, box)]
    rows = []
    for panels in (top, side):
        rows += [[Panel(p.axis, p.index, which) for p in panels] for which in (0, 1)]
    color = PALETTE[0]
    legend = [(color, "brain outline" if mask.any() else "brain outline: empty")]
    names = [fixed_label, moving_label]
    picture = Picture([still, moved], names, target, box, [(mask, color)])
    return picture.draw(rows, legend, title, out_svg)


def _target(image: Volume, masks, zoom_mask) -> np.ndarray:
    """The voxels that matter: the zoom mask, else all masks, else what is not background."""
    if zoom_mask is not None:
        return load_mask(zoom_mask, image)
    together = np.logical_or.reduce(masks) if masks else np.zeros(image.data.shape, bool)
    return together if together.any() else image.data > np.percentile(image.data, 50)


def _in_rows(panels: list[Panel], per_row: int) -> list[list[Panel]]:
    """Split into rows of nearly equal length, at most ``per_row`` long."""
    count = -(-len(panels) // per_row)
    return [list(part) for part in np.array_split(np.array(panels, object), count)]


class _MaskMosaicInputSpec(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="image to show")
    mask_files = InputMultiObject(File(exists=True), mandatory=True, desc="masks to outline")
    labels = InputMultiObject(traits.Str, mandatory=True, desc="one name for each outline")
    values = InputMultiObject(
        traits.Int, desc="one label value for each outline, of mask_files (or of the only one)"
    )
    colors = InputMultiObject(traits.Str, desc="one colour for each outline")
    zoom_mask = File(exists=True, desc="what to zoom to; default: what is outlined")
    title = traits.Str("", usedefault=True, desc="line above the picture")
    margin_mm = traits.Float(8.0, usedefault=True, desc="margin around what is zoomed to (mm)")
    axial = traits.Int(10, usedefault=True, desc="number of axial slices")


class _ReportOutputSpec(TraitedSpec):
    out_report = File(exists=True, desc="picture (SVG)")


class MaskMosaic(SimpleInterface):
    """Slices of an image with the outlines of one or more masks."""

    input_spec = _MaskMosaicInputSpec
    output_spec = _ReportOutputSpec

    def _run_interface(self, runtime):
        from nipype.interfaces.base import isdefined

        inputs = self.inputs
        labels = list(inputs.labels)
        files = list(inputs.mask_files)
        files = files * len(labels) if len(files) == 1 else files
        colors = list(inputs.colors) if isdefined(inputs.colors) else PALETTE[: len(labels)]
        values = list(inputs.values) if isdefined(inputs.values) else [None] * len(labels)
        self._results["out_report"] = str(
            mosaic(
                inputs.in_file,
                [Contour(*c) for c in zip(files, colors, labels, values, strict=True)],
                Path(runtime.cwd) / "mosaic.svg",
                inputs.title,
                zoom_mask=inputs.zoom_mask if isdefined(inputs.zoom_mask) else None,
                margin_mm=inputs.margin_mm,
                axial=inputs.axial,
            )
        )
        return runtime


class _OptionalMosaicInputSpec(_MaskMosaicInputSpec):
    mask_files = InputMultiObject(File(exists=True), desc="masks to outline, if there are any")


class OptionalMosaic(MaskMosaic):
    """The same where a node does not always have a mask: then there is no picture."""

    input_spec = _OptionalMosaicInputSpec

    def _run_interface(self, runtime):
        from nipype.interfaces.base import isdefined

        return super()._run_interface(runtime) if isdefined(self.inputs.mask_files) else runtime


class _RegistrationMosaicInputSpec(BaseInterfaceInputSpec):
    fixed = File(exists=True, mandatory=True, desc="image that stayed")
    moving = File(exists=True, mandatory=True, desc="the other image, resampled onto it")
    contour_mask = File(exists=True, mandatory=True, desc="brain mask on the fixed grid")
    title = traits.Str("Registration", usedefault=True, desc="line above the picture")
    fixed_label = traits.Str("fixed", usedefault=True, desc="name of the fixed image")
    moving_label = traits.Str("moving", usedefault=True, desc="name of the other image")


class RegistrationMosaic(SimpleInterface):
    """The same slices of two aligned images in turn, with one brain outline on both."""

    input_spec = _RegistrationMosaicInputSpec
    output_spec = _ReportOutputSpec

    def _run_interface(self, runtime):
        self._results["out_report"] = str(
            registration_mosaic(
                self.inputs.fixed,
                self.inputs.moving,
                self.inputs.contour_mask,
                Path(runtime.cwd) / "registration.svg",
                title=self.inputs.title,
                fixed_label=self.inputs.fixed_label,
                moving_label=self.inputs.moving_label,
            )
        )
        return runtime
