"""Plots of the group report as inline SVG: small, sharp at any size, and without a script.

All dots of a group are one path of strokes of no length, so that a thousand sessions cost a few
kilobytes a plot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape

#: Colours of the groups (Okabe and Ito), told apart with any colour vision on white.
COLORS = ("#0072b2", "#d98200", "#009e73", "#cc79a7", "#4aa8dc", "#5b6875")
MINUS = "\N{MINUS SIGN}"
_OUTLIER = "#b3261e"
_INK, _LINE = "#1c2733", "#d9dfe5"
_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 230, 58, 10, 10, 40
_BINS = 40
_LEAST_FOR_BOX = 8
_LEAST_FOR_MEDIAN = 5


@dataclass(frozen=True)
class Mark:
    """A value to be ringed: where, with what words, and the page it leads to ('' for none)."""

    index: int
    text: str
    url: str = ""


@dataclass
class _Axes:
    """A frame of a plot with its value axis; collects what is drawn on it."""

    width: int
    low: float
    high: float
    parts: list[Markup] = field(default_factory=list)

    def y(self, values: np.ndarray | float):
        """Return where values lie, from above."""
        share = (np.asarray(values) - self.low) / (self.high - self.low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)

    def add(self, template: str, *values: object) -> None:
        """Add SVG with ``{}`` for values, which are escaped."""
        self.parts.append(Markup(template).format(*values))

    def grid(self, ticks: Sequence[float]) -> None:
        """Draw a line and a number for each tick of the value axis."""
        step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
        decimals = max(0, -int(np.floor(np.log10(step) + 1e-9)))
        for tick in ticks:
            y = f"{float(self.y(tick)):.1f}"
            self.add('<path d="M{} {}H{}" stroke="{}"/>', _LEFT, y, self.width - _RIGHT, _LINE)
            text = f"{tick:.{decimals}f}".replace("-", MINUS)
            self.add('<text x="{}" y="{}" dy="4" text-anchor="end">{}</text>', _LEFT - 6, y, text)

    def below(self, x: float, text: str, line: int = 0) -> None:
        """Write a word below the axis, in its first line or a later one."""
        y = _HEIGHT - _BOTTOM + 16 + 15 * line
        self.add('<text x="{}" y="{}" text-anchor="middle">{}</text>', f"{x:.1f}", y, text)

    def dots(self, x: np.ndarray, y: np.ndarray, color: str, size: float) -> None:
        """Draw dots of one colour."""
        if len(x):
            places = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x, y, strict=True))
            self.add(
                '<path d="{}" fill="none" stroke="{}" stroke-width="{}" stroke-linecap="round" '
                'opacity=".55"/>', places, color, size,
            )  # fmt: skip

    def ring(self, x: float, y: float, mark: Mark) -> None:
        """Ring a value, with its words on hovering, and a link if there is a page."""
        ring = Markup(
            '<circle cx="{}" cy="{}" r="4.5" fill="#fff" fill-opacity=".3" stroke="{}" '
            'stroke-width="1.8"><title>{}</title></circle>'
        ).format(f"{x:.1f}", f"{y:.1f}", _OUTLIER, mark.text)
        self.parts.append(
            Markup('<a href="{}">{}</a>').format(mark.url, ring) if mark.url else ring
        )

    def svg(self, label: str) -> Markup:
        """Return the plot."""
        return Markup(
            '<svg viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{label}">'
            "{content}</svg>"
        ).format(w=self.width, h=_HEIGHT, label=label, content=Markup("\n").join(self.parts))


def group_colors(groups: np.ndarray) -> dict[str, str]:
    """Return group -> colour, by the groups' names."""
    return {name: COLORS[n % len(COLORS)] for n, name in enumerate(sorted(set(groups.tolist())))}


def strip_plot(
    values: np.ndarray, groups: np.ndarray, marks: Sequence[Mark], label: str, width: int = 330
) -> Markup:
    """Draw every value as a dot, by group, with median and quartiles.

    ``values`` (N,) may hold NaN; ``groups`` (N,) are labels; ``marks`` are the values to ring.
    """
    axes, names = _axes(values, width), group_colors(groups)
    step = (width - _LEFT - _RIGHT) / len(names)
    places = np.full(values.shape, np.nan)
    for number, (name, color) in enumerate(names.items()):
        middle = _LEFT + step * (number + 0.5)
        own = (groups == name) & np.isfinite(values)
        places[own] = middle + 0.36 * step * _spread(values[own], axes)
        axes.dots(places[own], axes.y(values[own]), color, 3.5 if own.sum() > 150 else 5)
        if own.sum() >= _LEAST_FOR_BOX:
            _box(axes, values[own], middle, 0.22 * step)
        axes.below(middle, _shorten(name, step))
        axes.below(middle, f"n = {int(own.sum())}", line=1)
    for mark in marks:
        axes.ring(places[mark.index], float(axes.y(values[mark.index])), mark)
    return axes.svg(label)


def spaghetti_plot(
    values: np.ndarray, times: np.ndarray, orders: Sequence[Sequence[int]], groups: np.ndarray,
    labels: np.ndarray, marks: Sequence[Mark], title: str, dated: bool,
) -> Markup:  # fmt: skip
    """Draw a line a participant through the values over time, a panel a group.

    ``values``, ``times`` (years if ``dated``), ``groups`` and ``labels`` (those of the sessions)
    are (N,); ``orders`` holds each participant's sessions in time, drawn where the first of them
    belongs; ``marks`` are the sessions to ring after an odd change. A thick line joins the medians
    of a group's sessions of each label.
    """
    followed = [own for own in orders if np.isfinite(values[list(own)]).sum() > 1]
    drawn = {groups[own[0]] for own in followed}
    colors = {name: color for name, color in group_colors(groups).items() if name in drawn}
    width = 420 if len(colors) == 1 else 700
    axes = _axes(values, width)
    panel = (width - _LEFT - _RIGHT) / len(colors)
    start, span = float(times.min()), max(float(np.ptp(times)), 1e-9)
    for number, (name, color) in enumerate(colors.items()):
        left = _LEFT + panel * number + 12
        x = left + (times - start) / span * (panel - 24)
        lines = [own for own in followed if groups[own[0]] == name]
        _lines(axes, x, values, lines, color)
        inside = np.zeros(len(values), dtype=bool)
        inside[[i for own in lines for i in own]] = True
        _median_line(axes, x, values, [inside & (labels == step) for step in np.unique(labels)])
        for mark in marks:
            if inside[mark.index]:
                axes.ring(x[mark.index], float(axes.y(values[mark.index])), mark)
        for tick in _ticks(start, start + span, whole=not dated, most=min(5, int(panel / 35))):
            axes.below(left + (tick - start) / span * (panel - 24), f"{tick:g}")
        what = ", ".join([name] * (len(colors) > 1) + ["years" if dated else "session"])
        axes.below(left + panel / 2 - 12, _shorten(what, panel), line=1)
    return axes.svg(title)


def _lines(
    axes: _Axes, x: np.ndarray, values: np.ndarray, orders: Sequence[Sequence[int]], color: str
) -> None:
    """Draw the participants' lines, the more there are, the thinner."""
    y, path = axes.y(values), []
    for own in orders:
        known = [i for i in own if np.isfinite(values[i])]
        path.append("M" + "L".join(f"{x[i]:.1f} {y[i]:.1f}" for i in known))
    size, opacity = (1.3, 0.7) if len(orders) <= 40 else (0.5, 0.5)
    axes.add(
        '<path d="{}" fill="none" stroke="{}" stroke-width="{}" opacity="{}"/>',
        "".join(path), color, size, opacity,
    )  # fmt: skip


def _median_line(
    axes: _Axes, x: np.ndarray, values: np.ndarray, steps: Sequence[np.ndarray]
) -> None:
    """Draw the median over the sessions of each step (N,), at the median of their times."""
    points = []
    for step in steps:
        own = step & np.isfinite(values)
        if own.sum() >= _LEAST_FOR_MEDIAN:
            points.append((np.median(x[own]), float(axes.y(np.median(values[own])))))
    if len(points) > 1:
        line = "L".join(f"{a:.1f} {b:.1f}" for a, b in sorted(points))
        for stroke, size in (("#fff", 6), (_INK, 2.5)):
            axes.add(
                '<path d="M{}" fill="none" stroke="{}" stroke-width="{}"/>', line, stroke, size
            )


def _axes(values: np.ndarray, width: int) -> _Axes:
    """Return the frame for these values, with its grid."""
    found = values[np.isfinite(values)]
    low, high = float(found.min()), float(found.max())
    margin = 0.06 * (high - low) or max(abs(high) * 0.05, 0.5)
    floor = 0.0 if low == 0 else low - margin  # nothing is below none
    axes = _Axes(width, floor - (0.03 * (high - low) if low == 0 else 0), high + margin)
    axes.grid(_ticks(floor, high + margin))
    return axes


def _ticks(low: float, high: float, whole: bool = False, most: int = 5) -> list[float]:
    """Return round numbers between two, about as many as wanted."""
    rough = max(high - low, 1e-9) / max(most, 1)
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * f for f in (1, 2, 5, 10) if power * f >= rough * 0.7)
    step = max(1.0, step) if whole else step
    first = int(np.ceil(low / step - 1e-9))
    return [n * step for n in range(first, int(np.floor(high / step + 0.01)) + 1)]


def _spread(values: np.ndarray, axes: _Axes) -> np.ndarray:
    """Return each value's place across its strip, -1 to 1: the wider, the more lie beside it.

    Without chance: those of one height take the places of van der Corput's sequence.
    """
    share = (values - axes.low) / (axes.high - axes.low)
    bins = np.clip((share * _BINS).astype(int), 0, _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    fullest = max(int(counts.max(initial=1)), 8)
    places = np.zeros(len(values))
    for number in np.unique(bins):
        own = np.flatnonzero(bins == number)
        if len(own) > 1:
            spread = np.array([_van_der_corput(n) for n in range(1, len(own) + 1)])
            spread = (spread - spread.mean()) * 2
            places[own] = spread * max(len(own), 2) / fullest
    return places


def _van_der_corput(number: int) -> float:
    """Return the number's binary digits mirrored at the point: even in (0, 1) for any start."""
    result, weight = 0.0, 0.5
    while number:
        result += weight * (number & 1)
        number, weight = number >> 1, weight / 2
    return result


def _box(axes: _Axes, values: np.ndarray, middle: float, half: float) -> None:
    """Draw the quartiles as a box and the median as its thick line."""
    lower, median, upper = (float(axes.y(q)) for q in np.percentile(values, (25, 50, 75)))
    axes.add(
        '<rect x="{}" y="{}" width="{}" height="{}" fill="#fff" fill-opacity=".45" stroke="{}"/>',
        f"{middle - half:.1f}", f"{upper:.1f}", f"{2 * half:.1f}", f"{lower - upper:.1f}", _INK,
    )  # fmt: skip
    axes.add(
        '<path d="M{} {}h{}" stroke="{}" stroke-width="2.5"/>',
        f"{middle - half:.1f}", f"{median:.1f}", f"{2 * half:.1f}", _INK,
    )  # fmt: skip


def _shorten(name: str, room: float) -> Markup:
    """Return a name as it fits into so many pixels, whole on hovering."""
    most = max(3, int(room / 7))
    if len(name) <= most:
        return escape(name)
    return Markup("<title>{}</title>{}…").format(name, name[: most - 1])
