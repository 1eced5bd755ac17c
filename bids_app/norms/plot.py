"""Picture of one person among the controls."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bids_app import dictionary
from bids_app.atomic import atomic_write_bytes
from bids_app.norms.file import NormsFile
from measures.norms import AGREEMENT_SD, Norm, Rating

_ACROSS = 3
_PANEL_INCHES = (4.2, 3.4)
_CONTROLS, _NORMAL, _PERSON = "#1f4e79", "#dbe7f3", "#b3261e"


def plot_norms(
    norms: NormsFile,
    ratings: Mapping[str, Rating],
    age_years: float,
    scanner_sd_ml: Mapping[str, float],
    path: Path,
) -> Path:
    """Draw a panel for each volume: residual over age, as in Fig. 6 of Opfer et al. 2022.

    Dots are the controls, the band their 95 % interval; the person is red, with the 95 % interval
    of the error between scanners where it is known. The same input gives the same bytes (SVG).
    """
    across = min(len(ratings), _ACROSS)
    down = math.ceil(len(ratings) / across)
    size = (max(across, 2) * _PANEL_INCHES[0], down * _PANEL_INCHES[1])
    with matplotlib.rc_context({"svg.hashsalt": "msmorph", "font.size": 9}):
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for panel, (volume, rating) in zip(panels, ratings.items(), strict=False):
            _draw_cloud(panel, norms.models[volume], norms.clouds[volume])
            _draw_person(panel, rating, age_years, scanner_sd_ml.get(volume))
            panel.set_title(_title(volume, rating), fontsize=9)
        for panel in panels[len(ratings) :]:
            panel.remove()
        figure.legend(
            *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8
        )
        content = io.BytesIO()
        figure.savefig(content, format="svg", dpi=150, metadata={"Date": None})
    return atomic_write_bytes(path, content.getvalue())


def _draw_cloud(panel: Axes, norm: Norm, cloud: tuple[list[float], list[float]]) -> None:
    panel.axhspan(*norm.interval_ml, color=_NORMAL, zorder=0, label="normal, 95 %")
    panel.axhline(0, color="0.6", linewidth=0.8, zorder=1)
    # As pixels: thousands of circles would make the file too large to look at.
    panel.scatter(
        *cloud, s=9, color=_CONTROLS, alpha=0.45, linewidths=0, zorder=2, rasterized=True,
        label="controls",
    )  # fmt: skip
    panel.set_xlabel(f"age (years); {norm.controls} controls")
    panel.set_ylabel("volume less expected (mL)")
    panel.spines[["top", "right"]].set_visible(False)


def _draw_person(panel: Axes, rating: Rating, age_years: float, sd_ml: float | None) -> None:
    reach = None if sd_ml is None else AGREEMENT_SD * sd_ml
    panel.errorbar(
        age_years, rating.residual_ml, yerr=reach, color=_PERSON, marker="o", markersize=6,
        capsize=4, linewidth=1.6, zorder=3,
        label="this session, with the error between scanners where known",
    )  # fmt: skip
    panel.margins(x=0.08, y=0.12)


def _title(volume: str, rating: Rating) -> str:
    name = dictionary.describe(volume)["LongName"]
    decision = {True: "below the normal interval", False: "not below the normal interval"}
    words = f"{rating.residual_ml:+.2f} mL, z = {rating.z:+.2f}"
    return f"{name}\n{words}" + (f", {decision[rating.below]}" if rating.below is not None else "")
