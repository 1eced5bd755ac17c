"""The spinal cord slice by slice: its cross-sectional area, its shape, its lesions and its levels.

Images are (X, Y, Z) in RAS voxel order, axial slices stacked along Z; centrelines (n, 3) are those
of :mod:`measures.centreline`. Vertebral levels are numbered as in PAM50: 1 is C1, 8 is T1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects

from measures.centreline import arc_length_mm, components_at, smooth_centreline, tangents
from measures.components import MIN_LESION_MM3, bounding_box, label_components

#: Soft values so near to the cord (mm), or next to it on larger pixels, count for its area: its
#: blurred edge. A slice of 5 mm blurs that of a cord tilted by 30 degrees by 1.4 mm to either side.
SOFT_MARGIN_MM = 2.0
#: Labels of discs above this are other landmarks (49 and 50 at the pons, 60 the conus).
LAST_VERTEBRA = 26
UPPER_CERVICAL_LEVELS = (2, 3)
#: Length of the cord at C2 and C3 in PAM50 (discs 2 and 4, 68 voxels of 0.5 mm). At least half of
#: it must be measured, or the mean is that of another place.
UPPER_CERVICAL_MM = 34.0


def cord_mask(cord: np.ndarray, centreline: np.ndarray, voxel_mm: np.ndarray) -> np.ndarray:
    """Cord (bool, X, Y, Z): where the soft segmentation exceeds 0.5 and meets the centreline."""
    return components_at(np.asarray(cord) > 0.5, centreline, voxel_mm)


def find_cord_lesions(
    lesions: np.ndarray, mask: np.ndarray, voxel_mm: np.ndarray, min_mm3: float = MIN_LESION_MM3
) -> np.ndarray:
    """Number the lesions of a mask (X, Y, Z) from 1, the largest, on; int32, 0 elsewhere.

    ``mask`` is that of :func:`cord_mask`: a voxel outside it is never lesion, and is cut off
    before :func:`measures.components.label_components` looks at volumes. Raises ValueError for
    another grid.
    """
    if lesions.shape != mask.shape:
        raise ValueError(f"lesions of shape {lesions.shape} on a grid of {mask.shape}")
    inside = np.asarray(lesions, bool) & mask
    return label_components(inside, float(np.prod(voxel_mm)), min_mm3)


def measure_slices(
    cord: np.ndarray,
    centreline: np.ndarray,
    voxel_mm: np.ndarray,
    lesions: np.ndarray | None = None,
    levels: Sequence[int | None] | None = None,
) -> list[dict]:
    """One row for every point of the centreline, from the lowest slice to the highest.

    ``cord`` (X, Y, Z) has the share of cord in every voxel, 0 to 1. Its values at
    :func:`cord_mask` and within 2 mm or a pixel of it are summed: the area is finer than voxels,
    and far haze does not add up. ``lesions`` (X, Y, Z) is the map of :func:`find_cord_lesions`; a
    voxel outside the cord is never counted. ``levels`` has one for each point.

    A slice cuts a tilted cord in an area too large by 1 / cos(angle). ``angle_deg`` lies between
    the slice's normal and the centreline, smoothed once more since noise only ever adds to the
    angle and so takes from the area. ``area_mm2`` and ``lesion_area_mm2`` are at right angles to
    the cord, as are the diameters of :func:`diameters_mm`. ``slice_length_mm`` is the centreline
    within the slice: area times length is the volume. Without cord a slice's area and shape are
    None, without ``lesions`` every lesion area. Raises ValueError for another grid or another
    number of levels.
    """
    if not len(centreline):
        return []
    levels = [None] * len(centreline) if levels is None else levels
    if len(levels) != len(centreline):
        raise ValueError(f"{len(levels)} levels for {len(centreline)} slices of the centreline")
    if lesions is not None and lesions.shape != cord.shape:
        raise ValueError(f"lesions of shape {lesions.shape} on a grid of {cord.shape}")
    voxel_mm = np.asarray(voxel_mm, float)
    smooth = smooth_centreline(centreline, voxel_mm)
    arc_mm = arc_length_mm(smooth, voxel_mm)
    mask = cord_mask(cord, centreline, voxel_mm)
    along = tangents(smooth, voxel_mm)
    rows = [
        {
            "slice": round(point[2]),
            "distance_from_top_mm": float(arc_mm[-1] - arc),
            "level": level,
            "slice_length_mm": float(voxel_mm[2] / tangent[2]),
            "angle_deg": float(np.degrees(np.arccos(min(tangent[2], 1.0)))),
            **_measure_section(section, tangent, voxel_mm),
            "lesion_area_mm2": None,
        }
        for point, arc, level, tangent, section in zip(
            smooth, arc_mm, levels, along, _soft_sections(cord, mask, smooth, voxel_mm), strict=True
        )
    ]
    if lesions is not None:
        for row, tangent in zip(rows, along, strict=True):
            counted = (lesions[:, :, row["slice"]] > 0) & mask[:, :, row["slice"]]
            row["lesion_area_mm2"] = np.count_nonzero(counted) * _pixel_mm2(tangent, voxel_mm)
    return rows


def _pixel_mm2(tangent, voxel_mm) -> float:
    """Area of a slice's pixel seen along the cord: at right angles to the unit vector."""
    return float(voxel_mm[0] * voxel_mm[1] * tangent[2])


def _measure_section(section, tangent, voxel_mm) -> dict[str, float | None]:
    """Area and shape of the cord (x, y) in a slice; None where there is none."""
    if not section.any():
        columns = ("area_mm2", "ap_diameter_mm", "transverse_diameter_mm", "eccentricity")
        return dict.fromkeys(columns)
    ap_mm, transverse_mm = diameters_mm(section, tangent, voxel_mm)
    return {
        "area_mm2": float(section.sum()) * _pixel_mm2(tangent, voxel_mm),
        "ap_diameter_mm": ap_mm,
        "transverse_diameter_mm": transverse_mm,
        "eccentricity": _eccentricity(ap_mm, transverse_mm),
    }


def diameters_mm(
    section: np.ndarray, tangent: np.ndarray, voxel_mm: np.ndarray
) -> tuple[float, float]:
    """Anterior-posterior and transverse diameter (mm) of the cord in a slice.

    They are the axes of the ellipse that has the second moments of ``section`` (X, Y), the share
    of cord in every voxel: 4 standard deviations each. The moments first lose what the voxels
    added, the variance of a pixel and, along the tilt, that of the way the cord moves within the
    thickness of the slice. Then they are projected along ``tangent`` (3,), the unit vector along
    the cord, on the plane at right angles to it: that shortens the direction of the tilt by the
    cosine and leaves the other as it is. The axis nearer to anterior-posterior is the first.
    """
    voxel_mm, tangent = np.asarray(voxel_mm, float), np.asarray(tangent, float)
    places = [np.arange(n) * mm for n, mm in zip(section.shape, voxel_mm, strict=False)]
    x, y = np.meshgrid(*places, indexing="ij")
    moments = np.cov(x.ravel(), y.ravel(), aweights=section.ravel(), ddof=0)
    drift = tangent[:2] / tangent[2] * voxel_mm[2]
    moments -= (np.diag(voxel_mm[:2] ** 2) + np.outer(drift, drift)) / 12
    right = np.array([1.0, 0, 0]) - tangent[0] * tangent
    right /= np.linalg.norm(right)
    across = np.stack([right, np.cross(tangent, right)])[:, :2]  # to transverse, anterior
    variances, axes = np.linalg.eigh(across @ moments @ across.T)
    diameters = 4 * np.sqrt(np.maximum(variances, 0))
    ap = int(np.argmax(np.abs(axes[1])))
    return float(diameters[ap]), float(diameters[1 - ap])


def _eccentricity(first_mm, second_mm) -> float:
    """Of an ellipse with these diameters: 0 for a circle, near 1 for a flat cord."""
    short, long = sorted((first_mm, second_mm))
    return float(np.sqrt(1 - (short / long) ** 2)) if long else 0.0


def _soft_sections(cord, mask, points, voxel_mm):
    """Yield for every point the soft values (x, y) of its slice at the cord, zero elsewhere."""
    margin_mm = max(SOFT_MARGIN_MM, float(np.linalg.norm(voxel_mm[:2])))
    margin = np.ceil(margin_mm / voxel_mm[:2]).astype(int)
    box = tuple(
        slice(max(side.start - grow, 0), side.stop + grow)
        for side, grow in zip(bounding_box(mask), margin, strict=False)
    )
    for index in np.rint(points[:, 2]).astype(int):
        here, soft = mask[box[:2]][:, :, index], np.asarray(cord[box[:2]][:, :, index], float)
        if not here.any():
            yield np.zeros_like(soft)
            continue
        near = distance_transform_edt(~here, sampling=voxel_mm[:2]) <= margin_mm
        other = (soft > 0.5) & ~here  # a component that is not the cord
        yield np.where(near & ~other, soft, 0)


def measure_cord_lesions(lesions: np.ndarray, rows: list[dict], voxel_mm: np.ndarray) -> list[dict]:
    """One row a lesion of a map (X, Y, Z) with numbers from 1 on, as of :func:`find_cord_lesions`.

    ``rows`` are those of :func:`measure_slices` and hold every slice with a lesion.
    ``lesion_length_mm`` is the centreline within its slices, from the lowest to the highest;
    ``distance_from_top_mm`` and ``level`` are those of the highest; ``largest_area_fraction`` is
    the largest share of a slice's area, 0 to 1.
    """
    by_slice = {row["slice"]: row for row in rows}
    voxel_mm3 = float(np.prod(voxel_mm))
    found = []
    for number, box in enumerate(find_objects(lesions), start=1):
        counts = np.count_nonzero(lesions[box] == number, axis=(0, 1))
        spanned = [by_slice[index] for index in range(box[2].start, box[2].stop)]
        shares = [
            count * voxel_mm3 / (row["area_mm2"] * row["slice_length_mm"])
            for count, row in zip(counts, spanned, strict=True)
        ]
        found.append(
            {
                "lesion_id": number,
                "lesion_mm3": float(counts.sum() * voxel_mm3),
                "lesion_length_mm": sum(row["slice_length_mm"] for row in spanned),
                "distance_from_top_mm": spanned[-1]["distance_from_top_mm"],
                "level": spanned[-1]["level"],
                "largest_area_fraction": float(max(shares)),
            }
        )
    return found


def summarise_cord(
    rows: list[dict], lesion_rows: list[dict] | None = None
) -> dict[str, float | int | str | None]:
    """Columns of ``*_morph.tsv`` of a session's cord; None for what could not be measured.

    ``rows`` are those of :func:`measure_slices`, ``lesion_rows`` those of
    :func:`measure_cord_lesions`, None where lesions were not looked for. Mean areas are over
    slices; slices without cord take no part and have no length. ``cord_csa_c2c3_mm2`` needs half
    of the length of C2 and C3; ``qc_cord_c2c3_flag`` says why there is none.
    """
    measured = [row for row in rows if row["area_mm2"] is not None]
    upper = [row for row in measured if row["level"] in UPPER_CERVICAL_LEVELS]
    flag = "ok"
    if not any(row["level"] is not None for row in rows):
        flag = "no vertebral levels are known"
    elif sum(row["slice_length_mm"] for row in upper) < UPPER_CERVICAL_MM / 2:
        flag = "less than half of C2 and C3 is covered"
    columns = {
        "cord_csa_mean_mm2": _mean_area(measured),
        "cord_csa_c2c3_mm2": _mean_area(upper) if flag == "ok" else None,
        "cord_length_mm": sum(row["slice_length_mm"] for row in measured) if measured else None,
        "cord_lesion_count": None,
        "cord_lesion_mm3": None,
        "cord_lesion_length_mm": None,
        "cord_lesion_fraction": None,
        "qc_cord_c2c3_flag": flag,
    }
    if lesion_rows is not None and measured:
        lesion_mm3 = float(sum(row["lesion_mm3"] for row in lesion_rows))
        cord_mm3 = sum(row["area_mm2"] * row["slice_length_mm"] for row in measured)
        columns["cord_lesion_count"] = len(lesion_rows)
        columns["cord_lesion_mm3"] = lesion_mm3
        columns["cord_lesion_length_mm"] = max(
            (row["lesion_length_mm"] for row in lesion_rows), default=0.0
        )
        columns["cord_lesion_fraction"] = lesion_mm3 / cord_mm3
    return columns


def _mean_area(rows) -> float | None:
    return float(np.mean([row["area_mm2"] for row in rows])) if rows else None


def measure_levels(rows: list[dict]) -> list[dict]:
    """One row a vertebral level of the rows of :func:`measure_slices`, from the highest on.

    Length in mm and mean area in mm2 of its slices with cord, and the volume of lesions in mm3,
    None where they were not looked for. A level without such a slice has no row.
    """
    measured = [row for row in rows if row["area_mm2"] is not None and row["level"] is not None]
    found = []
    for level in sorted({row["level"] for row in measured}):
        here = [row for row in measured if row["level"] == level]
        lesion_mm3 = None
        if here[0]["lesion_area_mm2"] is not None:
            lesion_mm3 = sum(row["lesion_area_mm2"] * row["slice_length_mm"] for row in here)
        found.append(
            {
                "level": level,
                "length_mm": sum(row["slice_length_mm"] for row in here),
                "area_mean_mm2": _mean_area(here),
                "lesion_mm3": lesion_mm3,
            }
        )
    return found


def levels_from_discs(
    disc_points_mm: Mapping[int, Sequence[float]], centreline_mm: np.ndarray
) -> list[int | None]:
    """Vertebral level of every point of a centreline (n, 3) in mm, lowest first.

    ``disc_points_mm`` leads from a label to its point in the same mm: n is the upper border of
    vertebra n, 1 the top of C1 (PAM50); labels above 26 are no discs. Each disc is projected on
    the nearest point of the centreline, which goes on straight beyond its ends. From disc n + 1 on
    and below disc n is level n; None where one of the two is missing. A point alone stands in an
    upright cord. Raises ValueError where the discs do not follow each other upwards.
    """
    line = np.asarray(centreline_mm, float).reshape(-1, 3)
    if not len(line):
        return []
    labels = sorted((n for n in disc_points_mm if 1 <= n <= LAST_VERTEBRA), reverse=True)
    heights = np.array([_project_mm(np.asarray(disc_points_mm[n], float), line) for n in labels])
    if np.any(np.diff(heights) <= 0):
        raise ValueError(f"discs {labels} do not follow each other up the centreline")
    places = np.searchsorted(heights, arc_length_mm(line, np.ones(3)), side="right")
    return [
        labels[i] if 0 < i < len(labels) and labels[i - 1] == labels[i] + 1 else None
        for i in places
    ]


def _project_mm(point, line) -> float:
    """Arc length (mm) from the first point of a line (n, 3) to the place nearest to a point."""
    if len(line) == 1:
        line = np.vstack([line, line + np.array([0, 0, 1])])
    steps = np.diff(line, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    along = ((point - line[:-1]) * steps).sum(axis=1) / lengths
    low, high = np.zeros(len(steps)), lengths.copy()
    low[0], high[-1] = -np.inf, np.inf
    along = np.clip(along, low, high)
    gaps = line[:-1] + steps * (along / lengths)[:, None] - point
    nearest = int(np.argmin((gaps**2).sum(axis=1)))
    return float(lengths[:nearest].sum() + along[nearest])
