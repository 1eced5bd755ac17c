"""Lesions inside a phantom's cord, as ovals along it in the cord's own frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from training.randomness import chance, uniform, whole_number


@dataclass(frozen=True)
class CordLesion:
    """An oval: centre and half-widths (mm) to the right, to the front and along the cord.

    ``strength``: its contrast over that of the scan's lesions; ``waves``: the irregularities of its
    edge, as three rows of wave vector (1/mm) and phase.
    """

    centre_mm: tuple[float, float, float]
    half_mm: tuple[float, float, float]
    strength: float
    waves: tuple[tuple[float, float, float, float], ...]

    def share(self, u, v, arc, softness_mm: float):
        """Share (N,) of lesion, 0 to 1, at points of the cord's frame."""
        away = torch.zeros_like(u)
        for places, centre, half in zip((u, v, arc), self.centre_mm, self.half_mm, strict=True):
            away = away + ((places - centre) / half) ** 2
        edge = torch.ones_like(u)
        for a, b, c, phase in self.waves:
            edge = edge + 0.1 * torch.sin(a * u + b * v + c * arc + phase)
        depth = (edge - away.sqrt()) * min(self.half_mm[:2])
        return (0.5 + depth / softness_mm).clamp(0, 1)


def draw_lesions(shape, in_view, generator) -> list[CordLesion]:
    """One to six lesions, 2 to 15 mm long, mostly in the dorsal and lateral columns.

    ``in_view``: indices (N,) of the rows of ``shape`` (CordShape) that a lesion may be at.
    """
    lesions = []
    most = 7 if chance(generator, 0.3) else 3
    for _ in range(whole_number(generator, 1, most)):
        row = in_view[whole_number(generator, 0, len(in_view))].item()
        angle, outwards = _column(generator)
        outline = shape.cord_mm[row]
        radius = outline[round(angle / (2 * math.pi) * len(outline)) % len(outline)].item()
        half_length = 0.5 * math.exp(uniform(generator, math.log(2), math.log(15)))
        width = min(uniform(generator, 0.9, 2.8), 0.75 * radius, 0.5 + half_length)
        flat = uniform(generator, 0.7, 1.4)
        place = outwards * radius
        lesions.append(
            CordLesion(
                centre_mm=(place * math.cos(angle), place * math.sin(angle), row * 0.5),
                half_mm=(width * flat, width / flat, half_length),
                strength=uniform(generator, 0.7, 1.25),
                waves=tuple(
                    (*(uniform(generator, -1.5, 1.5) for _ in range(3)),
                     uniform(generator, 0, 2 * math.pi)) for _ in range(3)
                ),
            )
        )  # fmt: skip
    return lesions


def _column(generator) -> tuple[float, float]:
    """Angle from the right towards the front, and distance from the axis over the radius."""
    kind = uniform(generator, 0, 1)
    if kind < 0.4:  # dorsal
        return math.radians(uniform(generator, -120, -60)), uniform(generator, 0.3, 0.75)
    if kind < 0.8:  # lateral
        side = math.pi if chance(generator, 0.5) else 0.0
        return side + math.radians(uniform(generator, -40, 30)), uniform(generator, 0.35, 0.8)
    return uniform(generator, 0, 2 * math.pi), uniform(generator, 0, 0.7)  # also across grey matter
