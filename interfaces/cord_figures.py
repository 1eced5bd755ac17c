"""Pictures of the spinal cord that follow its centreline, with the outlines of cord and lesions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from interfaces.drawing import (
    AXIAL,
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

COLORS = (PALETTE[0], PALETTE[3])  # cord, lesions
HALF_WIDTH_MM = 18.0  # of an axial picture
AROUND_MM = 45.0  # of a sagittal one, in front, behind, above and below
ASIDE_MM = 3.0  # sagittal sections beside the middle one
AXIAL_PANELS, PER_ROW = 18, 6


def cord_picture(image, cord, lesions, points, out_svg, *, view: str, title: str) -> Path:
    """Draw the cord of an image along its centreline and write an SVG; returns its path.

    ``view`` is ``axial`` (sections with the cord in the middle of each) or ``sagittal`` (three
    sections that are bent from side to side with the cord, so that it stays in view). ``cord`` and
    ``lesions`` (None where they were not looked for) are mask files, ``points`` is the CSV of the
    centreline in world mm.
    """
    volume = load_ras(image)
    masks = [load_mask(path, volume) for path in (cord, lesions) if path]
    line = _line_in_voxels(points, volume)
    half_mm = (HALF_WIDTH_MM, HALF_WIDTH_MM if view == "axial" else None)
    shifted = [follow(part, line, volume.spacing, half_mm) for part in (volume.data, *masks)]
    straight = Volume(shifted[0], volume.affine)
    box, rows = (_axial if view == "axial" else _sagittal)(straight, shifted[1])
    legend = [
        (color, name if mask.any() else f"{name}: none")
        for color, name, mask in zip(COLORS, ("cord", "lesions"), masks, strict=False)
    ]
    outlines = list(zip(shifted[1:], COLORS, strict=False))
    picture = Picture([straight], [""], shifted[1], box, outlines)
    return picture.draw(rows, legend, title, out_svg)


def follow(volume: np.ndarray, line: np.ndarray, spacing, half_mm) -> np.ndarray:
    """An image (X, Y, Z) whose axial slices are shifted so that a line runs straight up.

    ``line`` (Z, 2) is the middle of each slice in voxels; shifts are by whole voxels. Along x and
    y, ``half_mm`` on either side of the middle is kept, and beyond the image there is zero; an
    axis whose half is None is not shifted but kept whole.
    """
    straight = volume
    for axis, half in enumerate(half_mm):
        if half is None:
            continue
        reach = int(np.ceil(half / spacing[axis]))
        padded = np.pad(straight, [(reach, reach) if a == axis else (0, 0) for a in range(3)])
        starts = np.clip(np.rint(line[:, axis]), 0, volume.shape[axis] - 1).astype(int)
        parts = [
            padded[:, :, z].take(range(start, start + 2 * reach + 1), axis)
            for z, start in enumerate(starts)
        ]
        straight = np.stack(parts, axis=2)
    return straight


def _line_in_voxels(points, volume: Volume) -> np.ndarray:
    """Middle (Z, 2) of the cord in every axial slice; above and below it that of its ends."""
    placed = np.loadtxt(points, delimiter=",", skiprows=1, ndmin=2)
    to_voxels = np.linalg.inv(volume.affine)
    line = placed @ to_voxels[:3, :3].T + to_voxels[:3, 3]
    levels = np.arange(volume.data.shape[2])
    return np.column_stack([np.interp(levels, line[:, 2], line[:, axis]) for axis in (0, 1)])


def _axial(straight: Volume, cord) -> tuple[np.ndarray, list]:
    """Voxels shown (3, 2) and rows of panels of axial slices, from the highest on."""
    box = np.array([(0, n) for n in straight.data.shape])
    panels = [Panel(AXIAL, z) for z in spread(cord, AXIAL, AXIAL_PANELS, box)[::-1]]
    count = -(-len(panels) // PER_ROW)
    return box, [list(row) for row in np.array_split(np.array(panels, object), count)]


def _sagittal(straight: Volume, cord) -> tuple[np.ndarray, list]:
    """Voxels shown (3, 2) and one row of panels: the middle of the cord and both of its sides."""
    middle = straight.data.shape[0] // 2
    step = max(1, round(ASIDE_MM / straight.spacing[0]))
    mm = step * straight.spacing[0]
    places = {-step: f"{mm:.0f} mm left", 0: "middle of the cord", step: f"{mm:.0f} mm right"}
    row = [Panel(SAGITTAL, middle + shift, place=text) for shift, text in places.items()]
    return bounding_box(cord, straight.spacing, AROUND_MM), [row]


class _CordPictureInputSpec(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="image to show")
    cord = File(exists=True, desc="cord mask, where a cord was found")
    lesions = File(exists=True, desc="mask of its lesions")
    points = File(exists=True, desc="CSV of the centreline in world mm")
    view = traits.Enum("axial", "sagittal", usedefault=True, desc="sections across or along")
    title = traits.Str("", usedefault=True, desc="line above the picture")


class _CordPictureOutputSpec(TraitedSpec):
    out_report = File(desc="picture (SVG), where a cord was found")


class CordPicture(SimpleInterface):
    """Sections across or along the cord with its outlines; without a cord there is no picture."""

    input_spec = _CordPictureInputSpec
    output_spec = _CordPictureOutputSpec

    def _run_interface(self, runtime):
        inputs = self.inputs
        if isdefined(inputs.cord):
            out = Path(runtime.cwd) / f"{inputs.view}.svg"
            lesions = inputs.lesions if isdefined(inputs.lesions) else None
            self._results["out_report"] = str(
                cord_picture(
                    inputs.in_file, inputs.cord, lesions, inputs.points, out,
                    view=inputs.view, title=inputs.title,
                )
            )  # fmt: skip
        return runtime
