"""Drawing slices of images with outlines on them, in millimetres of the image's own grid.

Images are reoriented to RAS+ without resampling, so that thick slices keep their proportions and
an outline lies on the voxels it belongs to. Radiological convention, and letters that say so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from interfaces.images import resample

WIDTH_IN = 10.0
DPI = 96  # of the embedded slices
CONVENTION = "radiological convention: the subject's left (L) is on the right"
AXIAL, CORONAL, SAGITTAL = 2, 1, 0
PALETTE = ("#ff9f1c", "#2ec4f1", "#7bd389", "#f25f9c")  # told apart with any colour vision
_CAPTION_IN = 0.30
_GAP_IN = 0.03
_NUMBERS = re.compile(r"^([ML]) (-?[\d.]+) (-?[\d.]+) ?$", re.MULTILINE)


@dataclass(frozen=True)
class Volume:
    """An image on an RAS+ grid: values (x, y, z), and its 4 x 4 affine (mm)."""

    data: np.ndarray
    affine: np.ndarray

    @property
    def spacing(self) -> np.ndarray:
        """Voxel edges (mm)."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)


@dataclass(frozen=True)
class Panel:
    """One slice: its axis (0 sagittal, 1 coronal, 2 axial), its index, and which volume.

    ``place`` is written instead of its world position, which a reformatted slice has none of.
    """

    axis: int
    index: int
    volume: int = 0
    place: str = ""


def load_ras(path) -> Volume:
    """Read an image and reorient it to the closest RAS+ grid, without resampling."""
    import nibabel as nib

    image = nib.as_closest_canonical(nib.squeeze_image(nib.load(path)))
    return Volume(np.asarray(image.dataobj, np.float32), np.asarray(image.affine, float))


def load_mask(path, onto: Volume, value: int | None = None) -> np.ndarray:
    """Read a mask as booleans on the grid of ``onto`` (nearest voxel where its own differs)."""
    mask = load_ras(path)
    chosen = mask.data > 0.5 if value is None else np.round(mask.data) == value
    same = chosen.shape == onto.data.shape and np.allclose(mask.affine, onto.affine, atol=1e-3)
    if same:
        return chosen
    return resample(chosen, mask.affine, onto.affine, onto.data.shape, order=0) > 0.5


def bounding_box(mask, spacing, margin_mm: float) -> np.ndarray:
    """Voxel bounds (3, 2), half open, of the true voxels and a margin; all where none is true."""
    shape = np.array(mask.shape)
    box = np.stack([np.zeros(3, int), shape], axis=1)
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        hit = np.flatnonzero(mask.any(axis=others))
        if hit.size == 0:
            return np.stack([np.zeros(3, int), shape], axis=1)
        pad = int(np.ceil(margin_mm / spacing[axis]))
        box[axis] = max(0, hit[0] - pad), min(shape[axis], hit[-1] + 1 + pad)
    return box


def spread(mask, axis: int, count: int, box) -> list[int]:
    """At most ``count`` slice indices, evenly spread over what the mask covers along an axis."""
    others = tuple(a for a in range(3) if a != axis)
    hit = np.flatnonzero(mask.any(axis=others))
    first, stop = (hit[0], hit[-1] + 1) if hit.size else box[axis]
    count = min(count, int(stop - first))
    return [int(i) for i in np.floor(first + (stop - first) * (np.arange(count) + 0.5) / count)]


def grey_window(data, target) -> tuple[float, float]:
    """Grey-level window (black, white) for a cropped image and what matters in it.

    White is the 99.5th percentile of the target when that fills a fifth of the picture (a brain,
    whose scalp may be far brighter), else of the whole picture (a thalamus); black is the 1st
    percentile of the picture.
    """
    good = np.isfinite(data)
    if not good.any():
        return 0.0, 1.0
    judged = data[good & target] if (good & target).mean() > 0.2 else data[good]
    low, high = float(np.percentile(data[good], 1.0)), float(np.percentile(judged, 99.5))
    return (low, high) if high > low else (low, low + 1.0)


def _size_mm(panel: Panel, box, spacing) -> tuple[float, float]:
    """Width and height (mm) of a panel."""
    horizontal, vertical = [axis for axis in range(3) if axis != panel.axis]
    extent = (box[:, 1] - box[:, 0]) * spacing
    return float(extent[horizontal]), float(extent[vertical])


def _layout(rows, box, spacing) -> tuple[list, float]:
    """Places (left, top, width, height; inches) of every panel, rows justified; total height."""
    places, top = [], _CAPTION_IN
    aspects = [[w / h for w, h in (_size_mm(p, box, spacing) for p in row)] for row in rows]
    tallest = WIDTH_IN / max(min(sum(a) for a in aspects), 3.2)
    for row in aspects:
        gaps = _GAP_IN * (len(row) - 1)
        height = min((WIDTH_IN - gaps) / sum(row), tallest)
        left = (WIDTH_IN - gaps - height * sum(row)) / 2
        for aspect in row:
            places.append((left, top, aspect * height, height))
            left += aspect * height + _GAP_IN
        top += height + _GAP_IN
    return places, top + _CAPTION_IN


@dataclass(frozen=True)
class Picture:
    """What all panels share.

    ``volumes`` on one grid and their ``names`` ('' to leave out), ``target`` (x, y, z) bool: what
    matters; ``box`` (3, 2): the voxels shown; ``outlines``: (mask (x, y, z), colour) pairs.
    """

    volumes: Sequence[Volume]
    names: Sequence[str]
    target: np.ndarray
    box: np.ndarray
    outlines: Sequence[tuple[np.ndarray, str]]

    def draw(self, rows, legend, title: str, out_svg) -> Path:
        """Draw the panels and write the SVG, aside first; it has no date and fixed ids."""
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        inside = tuple(slice(*bounds) for bounds in self.box)
        windows = [grey_window(v.data[inside], self.target[inside]) for v in self.volumes]
        places, height = _layout(rows, self.box, self.volumes[0].spacing)
        out_svg = Path(out_svg)
        aside = out_svg.with_name(f".{out_svg.name}.partial")
        settings = {"svg.hashsalt": "msmorph", "svg.fonttype": "path"}
        with matplotlib.rc_context(settings):
            figure = Figure(figsize=(WIDTH_IN, height), facecolor="black", dpi=DPI)
            FigureCanvasSVG(figure)
            panels = [(panel, i == 0) for row in rows for i, panel in enumerate(row)]
            for (panel, first), (left, top, wide, high) in zip(panels, places, strict=True):
                area = (left / WIDTH_IN, 1 - (top + high) / height, wide / WIDTH_IN, high / height)
                axes = figure.add_axes(area)
                self._draw_panel(axes, panel, windows[panel.volume])
                if first and self.names[panel.volume]:
                    _text(axes, 0.02, 0.02, self.names[panel.volume], "left", "bottom", 8)
            _draw_captions(figure, height, title, legend)
            figure.savefig(aside, format="svg", facecolor="black", metadata={"Date": None})
        # Two decimals of a point are enough for an outline, and halve the file.
        text = _NUMBERS.sub(_round_point, aside.read_text(encoding="utf-8"))
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, out_svg)
        return out_svg

    def _draw_panel(self, axes, panel: Panel, window) -> None:
        """One slice in mm, cropped to the box, with its outlines, its place and side letters."""
        volume = self.volumes[panel.volume]
        horizontal, vertical = (axis for axis in range(3) if axis != panel.axis)
        crop = [slice(*bounds) for bounds in self.box]
        crop[panel.axis] = panel.index
        x, y = (np.arange(*self.box[a]) * volume.spacing[a] for a in (horizontal, vertical))
        step_x, step_y = volume.spacing[horizontal], volume.spacing[vertical]
        extent = (x[0] - step_x / 2, x[-1] + step_x / 2, y[0] - step_y / 2, y[-1] + step_y / 2)
        low, high = window
        grey = np.clip(np.nan_to_num((volume.data[tuple(crop)].T - low) / (high - low)), 0, 1)
        axes.imshow(
            np.round(grey * 255).astype(np.uint8), cmap="gray", vmin=0, vmax=255, origin="lower",
            extent=extent, interpolation="bilinear", aspect="auto",
        )  # fmt: skip
        wide_x = np.concatenate([[x[0] - step_x], x, [x[-1] + step_x]])
        wide_y = np.concatenate([[y[0] - step_y], y, [y[-1] + step_y]])
        for mask, color in self.outlines:
            _draw_outline(axes, wide_x, wide_y, mask[tuple(crop)].T, color)
        axes.set_xlim(extent[:2] if panel.axis == SAGITTAL else extent[1::-1])
        axes.set_ylim(extent[2:])
        axes.axis("off")
        _label_panel(axes, volume, panel, self.box)


def _round_point(found: re.Match) -> str:
    return f"{found[1]} {float(found[2]):.2f} {float(found[3]):.2f}"


def _draw_outline(axes, x, y, part, color: str) -> None:
    """Draw the edge of a 2D mask; ``x`` and ``y`` (mm) reach one voxel beyond it on all sides.

    Plain lines, since Matplotlib does not simplify the compound paths of its contours.
    """
    from contourpy import contour_generator

    if part.any():
        generator = contour_generator(x, y, np.pad(part.astype(np.float32), 1))
        for line in generator.lines(0.5):
            axes.plot(line[:, 0], line[:, 1], color=color, linewidth=0.9)


def _label_panel(axes, volume: Volume, panel: Panel, box) -> None:
    """Write the slice's world position (mm) and the side letters."""
    centre = (box[:, 0] + box[:, 1] - 1) / 2.0
    centre[panel.axis] = panel.index
    mm = round(float((volume.affine @ [*centre, 1.0])[panel.axis]))
    place = panel.place or f"{'xyz'[panel.axis]} = {mm}"
    _text(axes, 0.02, 0.98, place, "left", "top", 6)
    if panel.axis != SAGITTAL:
        _text(axes, 0.01, 0.5, "R", "left", "center", 7)
        _text(axes, 0.99, 0.5, "L", "right", "center", 7)
    else:
        _text(axes, 0.99, 0.5, "A", "right", "center", 7)


def _text(axes, x: float, y: float, text: str, ha: str, va: str, size: float) -> None:
    shade = {"facecolor": "black", "alpha": 0.55, "edgecolor": "none", "pad": 1.2}
    axes.text(
        x, y, text, transform=axes.transAxes, ha=ha, va=va, color="white", fontsize=size, bbox=shade
    )


def _draw_captions(figure, height: float, title: str, legend) -> None:
    """Title above; the outlines' names and the convention below."""
    middle = _CAPTION_IN / 2 / height
    figure.text(0.005, 1 - middle, title, color="white", fontsize=10, va="center")
    figure.text(0.995, middle, CONVENTION, color="#cccccc", fontsize=7, va="center", ha="right")
    left = 0.005
    for color, label in legend:
        figure.text(left, middle, label, color=color, fontsize=9, va="center", weight="bold")
        left += 0.02 + 0.0085 * len(label)
