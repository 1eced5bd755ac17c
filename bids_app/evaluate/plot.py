"""Bland-Altman plot of the volumes, one panel for each structure."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bids_app.atomic import atomic_write_bytes
from bids_app.evaluate.summary import group_structures, volumes_of
from measures.repeatability import BlandAltman, bland_altman

_PANELS_ACROSS = 3
_PANEL_INCHES = (5.2, 4.0)
_POINTS, _LINES = "#1f4e79", "#b03a2e"


def plot_bland_altman(rows: Sequence[dict[str, Any]], path: Path) -> Path:
    """Draw PRED less REF over the mean of both, in mL, with bias and 95 % limits of agreement.

    The ending of ``path`` chooses PNG or SVG; the same rows give the same bytes. Raises OSError
    where it cannot be written.
    """
    groups = group_structures(rows) or {("", "", "", ""): []}
    across = min(len(groups), _PANELS_ACROSS)
    down = math.ceil(len(groups) / across)
    size = (across * _PANEL_INCHES[0], down * _PANEL_INCHES[1])
    with matplotlib.rc_context({"svg.hashsalt": "msmorph", "font.size": 9}):
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for panel, (structure, members) in zip(panels, groups.items(), strict=False):
            draw_panel(panel, volumes_of(members), title_of(structure))
        for panel in panels[len(groups) :]:
            panel.remove()
        content = io.BytesIO()
        kind = path.suffix[1:].lower()
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(content, format=kind, dpi=150, metadata=metadata)
    return atomic_write_bytes(path, content.getvalue())


def title_of(structure: Sequence[str | None]) -> str:
    """Return a panel's heading from a structure's space, mask and labels."""
    space, mask, pred, ref = (part if part not in (None, "n/a") else "" for part in structure)
    place = f"{mask} in {space}" if mask and space else mask
    labels = (
        "" if pred == ref == "all" else " against ".join(dict.fromkeys(filter(None, (pred, ref))))
    )
    return "\n".join(part for part in (place, labels) if part)


def draw_panel(panel: Axes, volumes: np.ndarray, title: str) -> None:
    """Draw the volumes (pairs, 2), in mL, of PRED and REF into a panel."""
    panel.set_title(title, fontsize=9)
    panel.set_xlabel("mean of PRED and REF (mL)")
    panel.set_ylabel("PRED less REF (mL)")
    panel.spines[["top", "right"]].set_visible(False)
    limits = bland_altman(volumes[:, 0], volumes[:, 1])
    if not limits.n:
        panel.text(0.5, 0.5, "no pair of volumes", ha="center", transform=panel.transAxes)
        return
    panel.axhline(0, color="0.75", linewidth=0.8, zorder=0)
    panel.scatter(volumes.mean(axis=1), volumes[:, 0] - volumes[:, 1], s=22, color=_POINTS)
    _draw_lines(panel, limits)
    panel.margins(x=0.08, y=0.15)


def _draw_lines(panel: Axes, limits: BlandAltman) -> None:
    lines = [("bias", limits.bias, "-")]
    if limits.sd > 0:  # NaN for one pair
        lines += [("+1.96 SD", limits.upper, "--"), ("-1.96 SD", limits.lower, "--")]
    for name, height, style in lines:
        if math.isfinite(height):
            panel.axhline(height, color=_LINES, linestyle=style, linewidth=1)
            panel.annotate(
                f"{name}\n{height:+.3g}", (1.01, height), xycoords=("axes fraction", "data"),
                va="center", color=_LINES, fontsize=8, annotation_clip=False,
            )  # fmt: skip
