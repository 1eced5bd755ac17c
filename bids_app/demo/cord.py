"""The demo's spinal cord: a T2w of the upper neck whose cord and lesion are known by formula.

Drawn with geometry alone, without a template, in mm about the middle of the field of view. ``u``
runs to the right of the cord's axis, ``v`` to its front at right angles to the cord, ``z`` up.
Sizes are those of textbooks' adult necks; nothing here was fitted to an image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .contrast import SIGNAL, finish
from .deform import Grid

VOXEL_MM = 0.8
SHAPE = (68, 90, 96)
FINER = 2  # anatomy is drawn on this many voxels along each edge of one of the image
BEND_PER_MM = 0.003  # the axis lies at BEND_PER_MM * z^2, so it leans by 13 degrees at both ends
BEHIND_MM = 2.0  # of the field of view's middle, where the axis bends
TRANSVERSE_TO_AP = 1.5
CSF_MM = (3.2, 2.6)  # to the sides, in front and behind
VERTEBRA_MM, DISC_MM = 17.0, 4.5
#: Upper borders of vertebrae, named after PAM50's discs: label -> z in mm.
DISCS = {2: 33.0, 3: 16.0, 4: -1.0, 5: -18.0, 6: -35.0}
LESION_CENTRE_MM = (2.3, -1.4, 7.0)  # u, v, z
LESION_RADII_MM = (2.3, 2.0, 6.5)
NOISE = 6.0
CORD_GREY = 114.0
DISC_SIGNAL = 95.0


@dataclass
class CordScan:
    """The image (int16), masks (uint8) of cord and lesion, single voxels at discs, and numbers.

    Arrays are on ``grid``. ``slices`` has a row for every slice from the lowest: its area at right
    angles to the cord by formula; ``truth`` the columns of truth.tsv.
    """

    image: np.ndarray
    grid: Grid
    cord: np.ndarray
    lesion: np.ndarray
    discs: np.ndarray
    slices: list[dict]
    truth: dict[str, float | int]


def cord_area_mm2(z):
    """Area (mm2) of the cord at right angles to it at heights z (mm): it widens below C4."""
    return 75.0 + 9.0 * np.exp(-(((np.asarray(z, float) + 28.0) / 16.0) ** 2))


def axis_mm(z):
    """Front-to-back place (mm) of the cord's axis at heights z, and the cosine of its tilt."""
    slope = 2 * BEND_PER_MM * np.asarray(z, float)
    return BEND_PER_MM * np.asarray(z, float) ** 2 - BEHIND_MM, 1 / np.sqrt(1 + slope**2)


def draw_cord(rng: np.random.Generator) -> CordScan:
    """Draw the cord's T2w; only noise, shading and the muscles' texture are random."""
    grid = _grid()
    frame = _frame(grid)
    cord = _inside(*frame.ellipse(0.0), FINER)
    lesion = cord * _inside(*frame.lesion(), FINER)
    signal = _neck(frame, rng)
    canal = _inside(*frame.ellipse(1.0), FINER)
    signal += canal * (SIGNAL["T2w"]["csf"] - signal)
    signal += cord * (_white_and_grey(frame) - signal)
    signal += lesion * (SIGNAL["T2w"]["lesion"] - signal)
    seen = ndimage.gaussian_filter(_blocks(signal), 0.4)
    cord, lesion = _blocks(cord), _blocks(lesion)
    slices = _slice_rows(grid)
    return CordScan(
        image=finish(seen, rng, NOISE),
        grid=grid,
        cord=(cord >= 0.5).astype(np.uint8),
        lesion=((lesion >= 0.5) & (cord >= 0.5)).astype(np.uint8),
        discs=_disc_voxels(grid),
        slices=slices,
        truth=_truth(slices, float(lesion.sum(dtype=np.float64)) * VOXEL_MM**3),
    )


def _grid() -> Grid:
    """The image's grid, with the origin of its mm in the middle of the field of view."""
    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = -VOXEL_MM * (np.array(SHAPE) - 1) / 2
    return Grid(SHAPE, affine)


@dataclass
class _Frame:
    """Coordinates (mm) of the finer voxels, for broadcasting: u (X, 1, 1), v (1, Y, Z), z (Z,)."""

    u: np.ndarray
    v: np.ndarray
    z: np.ndarray

    def ellipse(self, csf: float):
        """Distance in radii from the axis of the cord widened by a share of its CSF, and radii."""
        area = cord_area_mm2(self.z)
        across = np.sqrt(area * TRANSVERSE_TO_AP / np.pi) + csf * CSF_MM[0]
        deep = np.sqrt(area / TRANSVERSE_TO_AP / np.pi) + csf * CSF_MM[1]
        return _scaled((self.u, self.v), (across.astype(np.float32), deep.astype(np.float32)))

    def lesion(self):
        """The same of the lesion."""
        away = [w - c for w, c in zip((self.u, self.v, self.z), LESION_CENTRE_MM, strict=True)]
        return _scaled(away, LESION_RADII_MM)


def _scaled(away, radii):
    """Distance from a centre in radii, and its gradient per mm."""
    norm = np.sqrt(sum((w / r) ** 2 for w, r in zip(away, radii, strict=True)))
    slope = np.sqrt(sum((w / r**2) ** 2 for w, r in zip(away, radii, strict=True)))
    return norm, slope / np.maximum(norm, 1e-3)


def _inside(norm, gradient, finer: int):
    """Share of each voxel inside of a surface: its distance to the border is (1 - norm) / slope."""
    return np.clip((1 - norm) / np.maximum(gradient, 1e-3) * (finer / VOXEL_MM) + 0.5, 0, 1)


def _frame(grid: Grid) -> _Frame:
    x, y, z = (
        ((np.arange(n * FINER) - (n * FINER - 1) / 2) * VOXEL_MM / FINER).astype(np.float32)
        for n in grid.shape
    )
    place, cosine = axis_mm(z)
    v = (y[None, :, None] - place) * cosine
    return _Frame(x[:, None, None], v.astype(np.float32), z)


def _blocks(volume: np.ndarray) -> np.ndarray:
    """Means over the finer voxels of each voxel of the image."""
    x, y, z = (n // FINER for n in volume.shape)
    return volume.reshape(x, FINER, y, FINER, z, FINER).mean(axis=(1, 3, 5))


def _white_and_grey(frame: _Frame):
    """Signal of the healthy cord: two horns a side in white matter."""
    side = np.abs(frame.u)
    front = _scaled((side - 1.9, frame.v - 0.8), (1.3, 1.5))
    back = _scaled((side - 1.7 - 0.35 * np.maximum(-frame.v, 0), frame.v + 1.3), (0.6, 2.0))
    bridge = _scaled((frame.u, frame.v), (2.0, 0.5))
    grey = np.maximum(np.maximum(_inside(*front, FINER), _inside(*back, FINER)),
                      _inside(*bridge, FINER))  # fmt: skip
    white = SIGNAL["T2w"]["wm"]
    return white + grey * (CORD_GREY - white)


def _box(distance, width_mm: float = 0.8):
    """Soft indicator of a distance (mm) above zero."""
    return np.clip(distance / width_mm + 0.5, 0, 1)


def _neck(frame: _Frame, rng: np.random.Generator):
    """Signal of all outside the canal: muscle, spine, throat, vessels, fat under the skin."""
    signal = SIGNAL["T2w"]
    u, v = frame.u, frame.v
    shape = (u.shape[0], *v.shape[1:])
    coarse = ndimage.zoom(rng.standard_normal([max(n // 24, 2) for n in shape]), 2, order=3)
    factors = [n / m for n, m in zip(shape, coarse.shape, strict=True)]
    texture = ndimage.zoom(coarse.astype(np.float32), factors, order=1)
    planes = np.clip(1 - np.abs(texture) / 0.12, 0, 1)
    image = signal["muscle"] * (1 + 0.1 * texture) + planes * (signal["fat"] - signal["muscle"])

    def paint(share, value):
        nonlocal image
        image += share * (value - image)

    paint(_box(np.hypot(u / 9, (v - 33) / 6) * -6 + 7.5), 170.0)  # the throat's wall, and its air
    paint(_box(np.hypot(u / 9, (v - 33) / 6) * -6 + 6), 3.0)
    for side in (-1, 1):
        paint(_box(2.2 - np.hypot(u - side * 15.5, v - 5)), 20.0)  # vertebral artery
        paint(_box(3.2 - np.hypot(u - side * 24, v - 20)), 15.0)  # carotid
    paint(_box(-31 - v, 1.5), signal["fat"])
    _paint_spine(frame, paint)
    return image.astype(np.float32)


def _paint_spine(frame: _Frame, paint) -> None:
    """Vertebral bodies with dark rims, discs, arches with spinous processes, and ligaments."""
    signal = SIGNAL["T2w"]
    u, v, z = frame.u, frame.v, frame.z
    period = (z - DISCS[4] + VERTEBRA_MM / 2) % VERTEBRA_MM - VERTEBRA_MM / 2  # from a disc
    of_disc = np.abs(period) - DISC_MM / 2  # below zero within one
    # of the front of the canal: bodies 15 mm deep and 22 wide, rounded at their corners
    column = 1 - (np.abs(u / 11) ** 4 + np.abs((v - 15) / 7.7) ** 4) ** 0.25
    norm, _ = frame.ellipse(1.0)
    ring = (norm - 1) * 7.0  # about the distance in mm from the canal
    arch = np.minimum(4.5 - ring, 5.0 - v) * _box(ring)
    masses = 6.5 - np.hypot((np.abs(u) - 15) / 1.0, (v + 4) / 1.3)
    spine = np.minimum(3.0 - np.abs(u), np.minimum(v + 29, -8 - v))
    # the arches end a little below the disc, where there are ligaments alone
    behind = np.maximum(np.minimum(np.maximum(arch, spine), np.abs(period) - 3.0), masses)
    paint(_box(3.0 - ring) * _box(-v - 3), signal["fat"])
    paint(_box(1.2 - ring), 35.0)
    for distance in (behind, np.minimum(column * 9, of_disc)):
        paint(_box(distance), signal["bone"])
        paint(_box(distance - 1.0), signal["marrow"])
    disc = np.minimum(column * 9, -of_disc)
    paint(_box(disc), 30.0)
    paint(_box(disc - 0.8) * _box(5 - np.abs(v - 15), 3), DISC_SIGNAL)


def _disc_voxels(grid: Grid) -> np.ndarray:
    """Single voxels (uint8) at the back of the discs, 3 mm in front of the canal."""
    labels = np.zeros(grid.shape, np.uint8)
    for number, z in DISCS.items():
        place, _ = axis_mm(z)
        point = np.array([[0.0], [float(place) + 10.0], [z]])
        labels[tuple(np.rint(grid.to_voxel(point)[:, 0]).astype(int))] = number
    return labels


def _slice_rows(grid: Grid) -> list[dict]:
    """One row a slice of the image, from the lowest."""
    z = grid.affine[2, 3] + VOXEL_MM * np.arange(grid.shape[2])
    area, (_, cosine) = cord_area_mm2(z), axis_mm(z)
    return [
        {
            "slice": index,
            "level": _level(z[index]),
            "angle_deg": round(float(np.degrees(np.arccos(cosine[index]))), 2),
            "area_mm2": round(float(area[index]), 3),
        }
        for index in range(grid.shape[2])
    ]


def _level(z: float) -> int | str:
    """The vertebra whose upper border and that of the next enclose a height z (mm)."""
    inside = [n for n, top in DISCS.items() if n + 1 in DISCS and DISCS[n + 1] <= z < top]
    return inside[0] if inside else "n/a"


def _truth(slices, lesion_mm3: float) -> dict[str, float | int]:
    """The cord's columns of truth.tsv, named as MSMorph's own."""
    upper = [row["area_mm2"] for row in slices if row["level"] in (2, 3)]
    return {
        "cord_csa_mean_mm2": round(float(np.mean([row["area_mm2"] for row in slices])), 3),
        "cord_csa_c2c3_mm2": round(float(np.mean(upper)), 3),
        "cord_lesion_count": 1,
        "cord_lesion_mm3": round(lesion_mm3, 2),
    }
