"""The healthy template head: tissue fractions, thalamus, third ventricle, skull and scalp.

Everything lives on one 1 mm grid in MNI152NLin2009aSym space, lengthened downwards for a neck.
The brain comes from nilearn's bundled template (T1, grey- and white-matter maps, brain-masked);
the rest of the head is drawn round it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from .deform import Grid, grid_points
from .thalamus import inside_mm

NECK_MM = 36
EDGE_MM = 2.0  # width of the thalamus border towards white matter: it is not sharp in life
OUTER = ("bone", "marrow", "fat", "skin", "muscle", "eye")


@dataclass(frozen=True)
class Head:
    """A head on ``grid``: float32 maps of ``grid.shape``.

    ``t1`` is the template's T1 intensity (white matter 224); ``tissue`` maps the names csf, gm,
    wm, left, right (the thalami) and those of ``OUTER`` to fractions (0..1) whose sum is
    at most one, the rest being air; ``brain`` is the template's brain mask.
    """

    grid: Grid
    t1: np.ndarray
    tissue: dict[str, np.ndarray]
    brain: np.ndarray

    @property
    def solid(self) -> np.ndarray:
        """Share of each voxel that is not air."""
        return sum(self.tissue.values())


def template_folder() -> Path:
    """Return nilearn's folder of bundled templates (found without importing nilearn)."""
    from importlib.util import find_spec

    spec = find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("nilearn is not installed; the demo is made from its template.")
    return Path(spec.origin).parent / "datasets" / "data"


def load_template() -> tuple[Grid, np.ndarray, np.ndarray, np.ndarray]:
    """Load T1 (0..255), grey- and white-matter fraction (0..1) on the lengthened grid."""
    import nibabel as nib

    maps = []
    for name in ("t1", "gm", "wm"):
        path = template_folder() / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing; reinstall nilearn, which ships it.")
        image = nib.load(path)
        data = np.asarray(image.dataobj, dtype=np.float32)
        maps.append(np.pad(data, ((0, 0), (0, 0), (NECK_MM, 0))))
    affine = image.affine.astype(float).copy()
    affine[2, 3] -= NECK_MM
    return Grid(maps[0].shape, affine), maps[0], maps[1] / 255.0, maps[2] / 255.0


def third_ventricle(points: np.ndarray) -> np.ndarray:
    """Return the CSF fraction of a third-ventricle slit at points (3, ...) in millimetres.

    In the average template the thalami touch at the midline; a single head has a slit of two to
    three millimetres between them.
    """
    x, y, z = points
    half = 1.3 * np.clip((y + 30.0) / 3.0, 0, 1) * np.clip((3.0 - y) / 4.0, 0, 1)
    half *= np.clip((z + 10.0) / 4.0, 0, 1) * np.clip((15.0 - z) / 4.0, 0, 1)
    return np.clip(half - np.abs(x) + 0.5, 0, 1) * np.clip(half, 0, 1)


def thalamus_fractions(points: np.ndarray, csf: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return left and right thalamus fraction (0..1) at points, given the CSF fraction there."""
    sides = []
    for sign in (-1.0, 1.0):
        mirrored = points.copy()
        mirrored[0] *= sign
        shape = np.clip(0.5 + inside_mm(mirrored) / EDGE_MM, 0.0, 1.0)
        sides.append((shape * np.clip(1.0 - csf, 0.0, 1.0)).astype(np.float32))
    return sides[0], sides[1]


def box_window(grid: Grid, low, high) -> tuple[slice, slice, slice]:
    """Return the window of ``grid`` between two millimetre corners."""
    a, b = (np.rint(grid.to_voxel(np.array(c, float).reshape(3, 1))[:, 0]) for c in (low, high))
    return tuple(slice(int(i), int(j) + 1) for i, j in zip(a, b, strict=True))


def whiten_capsule(points, window, gm, wm) -> None:
    """Turn grey matter just outside the thalamus into white matter, in place.

    The template's grey-matter map runs past the thalamus laterally and ventrally; left there it
    would look like thalamus and move the visible border away from the truth.
    """
    mirrored = points.copy()
    mirrored[0] = np.abs(mirrored[0])
    outside = -inside_mm(mirrored)
    x, y, z = mirrored
    share = np.clip(5.0 - outside, 0, 1) * np.clip((x - 6.0) / 3.0, 0, 1)
    share *= np.clip((17.0 - z) / 2.0, 0, 1) * np.clip((z + 7.0) / 4.0, 0, 1)
    share *= np.clip((y + 34.0) / 3.0, 0, 1)
    moved = gm[window] * share * 0.9
    gm[window] -= moved
    wm[window] += moved


def brain_tissue(grid: Grid, t1, gm, wm) -> dict[str, np.ndarray]:
    """Return fractions csf, gm, wm, left, right that add up to one inside the brain mask."""
    brain = t1 > 0
    gm, wm = gm * brain, wm * brain
    csf = np.clip(brain - gm - wm, 0, 1).astype(np.float32)
    window = box_window(grid, (-45, -60, -30), (45, 30, 40))
    points = grid_points(grid, window)
    slit = third_ventricle(points).astype(np.float32)
    csf[window] = np.maximum(csf[window], slit)
    left, right = (np.zeros(grid.shape, np.float32) for _ in range(2))
    left[window], right[window] = thalamus_fractions(points, csf[window])
    whiten_capsule(points, window, gm, wm)
    rest = np.clip(1.0 - csf - left - right, 0, 1) / np.maximum(gm + wm, 1e-3)
    gm, wm = gm * np.minimum(rest, 1.0), wm * np.minimum(rest, 1.0)
    csf = np.clip(brain - gm - wm - left - right, 0, 1).astype(np.float32)
    return {"csf": csf, "gm": gm, "wm": wm, "left": left, "right": right}


def _layer(distance, outer, inner=None):
    """Return the soft indicator of inner < distance <= outer (millimetres, 1 mm edges)."""
    layer = np.clip(outer - distance + 0.5, 0, 1)
    return layer if inner is None else layer * np.clip(distance - inner + 0.5, 0, 1)


def _ellipsoid(points, centre, radii):
    """Return the approximate signed distance (mm, negative inside) to an ellipsoid."""
    scaled = [(p - c) / r for p, c, r in zip(points, centre, radii, strict=True)]
    return (np.sqrt(sum(s * s for s in scaled)) - 1.0) * float(min(radii))


def _head_distances(grid: Grid, brain: np.ndarray):
    """Return distance from the skull's inside and from the skin (mm, on a 2 mm grid), and it.

    The skull's inside is the closed, smoothed brain mask; the skin surrounds skull, face and
    neck.
    """
    affine = grid.affine.copy()
    affine[:3, :3] *= 2
    small = brain[::2, ::2, ::2]
    coarse = Grid(small.shape, affine)
    points = grid_points(coarse)
    grown = ndimage.distance_transform_edt(~small) * 2 <= 10
    closed = ndimage.distance_transform_edt(grown) * 2 > 10
    inside = ndimage.gaussian_filter((closed | small).astype(np.float32), 1.0) > 0.4
    skull = (ndimage.distance_transform_edt(~inside) * 2 - 1).astype(np.float32)
    skull[inside] = -ndimage.distance_transform_edt(inside)[inside] * 2 + 1
    face = _ellipsoid(points, (0, 38, -52), (56, 58, 56))
    neck = np.hypot(points[0] / 1.0, (points[1] + 28) / 1.05) - 54
    neck = np.maximum(neck, points[2] + 45)
    outer = np.minimum(np.minimum(skull - 13, face), neck)
    soft = ndimage.gaussian_filter((outer < 0).astype(np.float32), 2.0) > 0.5
    skin = (ndimage.distance_transform_edt(~soft) - ndimage.distance_transform_edt(soft)) * 2
    return coarse, skull, skin.astype(np.float32)


def _upsample(volume, shape):
    """Bring a map of the every-second-voxel grid to the full grid (within half a voxel)."""
    grown = ndimage.zoom(volume, 2, order=1, grid_mode=True, mode="nearest")
    return np.ascontiguousarray(grown[: shape[0], : shape[1], : shape[2]])


def _noise_map(values: np.ndarray, shape) -> np.ndarray:
    """Spread coarse random values linearly over a grid, after a cubic step to smooth them."""
    smooth = ndimage.zoom(values, 2, order=3).astype(np.float32)
    factors = [n / m for n, m in zip(shape, smooth.shape, strict=True)]
    return ndimage.zoom(smooth, factors, order=1)


def outer_tissue(grid: Grid, brain: np.ndarray, rng: np.random.Generator) -> dict:
    """Return fractions of CSF rim, bone, marrow, fat, skin, muscle and eyes round the brain.

    Shells of realistic thickness: CSF to the inner table, 1.5 mm inner table, 3 mm marrow,
    1.5 mm outer table, fat, 2 mm skin. Below the skull base muscle with fat planes, air-filled
    sinuses and two eyes.
    """
    _, skull, skin = _head_distances(grid, brain)
    skull, skin = (_upsample(d, grid.shape) for d in (skull, skin))
    thickness = _noise_map(rng.uniform(-1, 1, (6, 7, 7)), grid.shape)
    points = grid_points(grid)
    skull -= 1.0 + 0.6 * thickness
    head = _layer(skin, 0.0)
    base = np.clip((-points[2] - 32) / 12, 0, 1) * np.clip((points[1] + 75) / 12, 0, 1)
    marrow_mm = 3.0 + 1.2 * thickness
    csf = np.clip(0.5 - skull, 0, 1)
    marrow = _layer(skull, 1.5 + marrow_mm, 1.5) * (1 - base)
    bone = _layer(skull, 3.0 + marrow_mm, 0.0) - marrow
    outside = np.clip(head - csf - bone - marrow, 0, 1)
    skin_layer = np.clip(skin + 2.5, 0, 1) * outside
    outside = outside - skin_layer
    texture = _noise_map(rng.standard_normal([n // 6 for n in grid.shape]), grid.shape)
    deep = np.clip((-skin - 6) / 3, 0, 1) * np.clip((skull - 8) / 3, 0, 1)
    planes = np.clip((np.abs(texture) - 0.12) / 0.2, 0, 1)
    muscle = outside * deep * (0.45 + 0.55 * planes)
    fat = outside - muscle
    return _air_and_eyes(
        grid,
        csf * head,
        {
            "bone": bone * head,
            "marrow": marrow * head,
            "fat": fat,
            "skin": skin_layer,
            "muscle": muscle,
        },
    )


SINUSES = (  # centre and radii (mm) of frontal, nasal, maxillary, sphenoid cavities and airway
    ((0, 62, -38), (9, 16, 16)),
    ((0, 42, -62), (8, 30, 14)),
    ((-26, 56, -62), (11, 13, 14)),
    ((26, 56, -62), (11, 13, 14)),
    ((0, 4, -86), (11, 9, 26)),
    ((0, 26, -36), (11, 9, 7)),
)
EYES = (((-32, 68, -38), (12, 12, 12)), ((32, 68, -38), (12, 12, 12)))


def _blobs(grid: Grid, ellipsoids) -> np.ndarray:
    """Return the soft indicator of a union of ellipsoids (centre, radii)."""
    union = np.zeros(grid.shape, np.float32)
    for centre, radii in ellipsoids:
        reach = np.array(radii) + 2
        window = box_window(grid, np.array(centre) - reach, np.array(centre) + reach)
        window = tuple(
            slice(max(w.start, 0), min(w.stop, n)) for w, n in zip(window, grid.shape, strict=True)
        )
        points = grid_points(grid, window)
        blob = np.clip(0.5 - _ellipsoid(points, centre, radii), 0, 1)
        union[window] = np.maximum(union[window], blob)
    return union


def _air_and_eyes(grid: Grid, csf, tissue):
    """Hollow out the sinuses and the airway and set in the eyes; add the CSF rim."""
    near = np.clip(1 - csf, 0, 1)
    air, eye = _blobs(grid, SINUSES) * near, _blobs(grid, EYES) * near
    keep = ((1 - air) * (1 - eye)).astype(np.float32)
    for name in tissue:
        tissue[name] = tissue[name] * keep
    tissue["eye"] = eye.astype(np.float32)
    tissue["rim"] = csf.astype(np.float32)
    return tissue


def build_head(rng: np.random.Generator) -> Head:
    """Build the healthy template head (drawn parts random through ``rng``)."""
    grid, t1, gm, wm = load_template()
    brain = ndimage.binary_fill_holes(t1 > 0)
    inner = brain_tissue(grid, t1, gm, wm)
    soft = np.clip(sum(inner.values()), 0, 1)
    outer = outer_tissue(grid, brain, rng)
    rim = outer.pop("rim")
    tissue = dict(inner)
    tissue["csf"] = np.clip(tissue["csf"] + rim * (1 - soft), 0, 1)
    room = np.clip(1 - soft - rim * (1 - soft), 0, 1)
    for name, fraction in outer.items():
        tissue[name] = fraction * room
    return Head(grid, t1, tissue, brain)
