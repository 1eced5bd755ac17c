"""Lesions of the brain: find them in a mask, measure each, and sum them up for a session."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from measures.black_holes import hypointense_fractions, hypointensity_threshold
from measures.components import MIN_LESION_MM3, bounding_box, label_components, voxel_geometry
from measures.lesion_regions import DISSEMINATION_REGIONS, REGIONS, locate_lesions, regions_flag
from measures.structures import (
    BRAIN,
    CHOROID_PLEXUS,
    VENTRICLES,
    WHITE_MATTER,
    check_label_map,
)

#: The probability so near to a lesion (mm) counts for its soft volume: its blurred edge.
SOFT_MARGIN_MM = 2.0
#: Issue 4. Real lesions can be more (50 mL in a person of our kit): such a result wants a look.
LARGEST_SHARE_OF_WHITE_MATTER = 0.10
LARGEST_SHARE_OUTSIDE = 0.10


@dataclass(frozen=True)
class LesionTable:
    """One row a lesion, and whether regions and T1w intensities could be used (``ok`` or why)."""

    rows: list[dict]
    regions_flag: str
    t1w_flag: str


def find_lesions(
    mask: np.ndarray,
    affine: np.ndarray,
    structures: np.ndarray | None = None,
    min_mm3: float = MIN_LESION_MM3,
) -> np.ndarray:
    """Number the lesions of a mask (X, Y, Z) from 1, the largest, on; int32, 0 elsewhere.

    ``structures`` has FreeSurfer's labels on the same grid. Components of which more than half
    lies in choroid plexus and ventricles are dropped whole, then voxels of plexus: it is never a
    lesion. Then as :func:`measures.components.label_components`. Raises ValueError for another
    grid.
    """
    mask = np.asarray(mask, bool)
    voxel_mm3 = voxel_geometry(affine)[1]
    if structures is not None:
        structures = check_label_map(structures, mask.shape)
        whole = label_components(mask, voxel_mm3, 0)
        fluid = np.isin(structures, CHOROID_PLEXUS + VENTRICLES)
        sizes = np.bincount(whole.ravel())
        keep = 2 * np.bincount(whole[fluid], minlength=len(sizes)) <= sizes
        mask = mask & keep[whole] & ~np.isin(structures, CHOROID_PLEXUS)
    return label_components(mask, voxel_mm3, min_mm3)


def soft_volumes_mm3(
    lesions: np.ndarray,
    probability: np.ndarray,
    voxel_mm: np.ndarray,
    structures: np.ndarray | None = None,
) -> np.ndarray:
    """Summed probability (N,) in mm3 of every lesion, in the order of their numbers.

    Arrays are (X, Y, Z). Our definition: the voxels of the lesion and those within 2 mm of it
    that are nearest to it, choroid plexus excepted. The margin holds the blurred edge, without
    which the sum is biased low; low probabilities all over the brain do not add up.
    """
    count = int(lesions.max(initial=0))
    if not count:
        return np.zeros(0)
    margin = np.ceil(SOFT_MARGIN_MM / np.asarray(voxel_mm)).astype(int)
    box = tuple(
        slice(max(side.start - grow, 0), side.stop + grow)
        for side, grow in zip(bounding_box(lesions > 0), margin, strict=True)
    )
    lesions, probability = lesions[box], np.asarray(probability[box], float)
    distance, nearest = distance_transform_edt(lesions == 0, sampling=voxel_mm, return_indices=True)
    counted = distance <= SOFT_MARGIN_MM
    if structures is not None:
        counted &= ~np.isin(structures[box], CHOROID_PLEXUS)
    owner = lesions[tuple(nearest)][counted]
    sums = np.bincount(owner, weights=probability[counted], minlength=count + 1)[1:]
    return sums * float(np.prod(voxel_mm))


def measure_lesions(
    lesions: np.ndarray,
    affine: np.ndarray,
    structures: np.ndarray | None = None,
    probability: np.ndarray | None = None,
    uncertainty: np.ndarray | None = None,
    t1w: np.ndarray | None = None,
    native_to_mni: np.ndarray | None = None,
) -> LesionTable:
    """Measure every lesion of a map (X, Y, Z) with numbers from 1 on.

    All arrays are on its grid: FreeSurfer's ``structures``, lesion ``probability`` and flip
    ``uncertainty`` from 0 to 1, and ``t1w``. ``affine`` leads from voxels to mm in RAS+ (no
    shear), ``native_to_mni`` (4 x 4) from these mm to those of MNI152. What is not given is None
    in the rows. Centroids are means of voxel centres. Raises ValueError for another grid.
    """
    for array in (structures, probability, uncertainty, t1w):
        if array is not None and array.shape != lesions.shape:
            raise ValueError(f"an image of shape {array.shape} on a grid of {lesions.shape}")
    voxel_mm, voxel_mm3 = voxel_geometry(affine)
    sizes = np.bincount(lesions.ravel(), minlength=1)[1:]
    soft = [None] * len(sizes)
    if probability is not None:
        soft = soft_volumes_mm3(lesions, probability, voxel_mm, structures).tolist()
    threshold, t1w_flag = None, "no T1w"
    if t1w is not None:
        threshold, t1w_flag = hypointensity_threshold(t1w, lesions, structures, voxel_mm3)
    dark = [None] * len(sizes)
    if threshold is not None:
        dark = hypointense_fractions(t1w, lesions, threshold)
    columns = {
        "lesion_id": range(1, len(sizes) + 1),
        "lesion_mm3": (sizes * voxel_mm3).tolist(),
        "lesion_soft_mm3": soft,
        "lesion_voxel_count": sizes.tolist(),
        **_centroids(lesions, sizes, affine, native_to_mni),
        "mean_probability": _means(lesions, sizes, probability),
        "mean_uncertainty": _means(lesions, sizes, uncertainty),
        "t1w_hypointense_fraction": dark,
    }
    places = locate_lesions(lesions, structures, voxel_mm)
    rows = [
        dict(zip(columns, values, strict=True)) | asdict(place)
        for *values, place in zip(*columns.values(), places, strict=True)
    ]
    return LesionTable(rows, regions_flag(structures), t1w_flag)


def _centroids(lesions, sizes, affine, native_to_mni) -> dict[str, list]:
    """Columns of the centroids in native mm and, where the matrix is known, in MNI mm."""
    voxels = np.nonzero(lesions)
    owner = lesions[voxels]
    sums = [np.bincount(owner, weights=axis, minlength=len(sizes) + 1)[1:] for axis in voxels]
    homogeneous = np.vstack([*(total / sizes for total in sums), np.ones(len(sizes))])
    native = np.asarray(affine, float) @ homogeneous
    columns = dict(zip("xyz", native.tolist(), strict=False))
    columns = {f"centroid_{axis}_mm": values for axis, values in columns.items()}
    mni = [[None] * len(sizes)] * 3
    if native_to_mni is not None:
        mni = (np.asarray(native_to_mni, float) @ native).tolist()[:3]
    return columns | {f"centroid_mni_{a}_mm": v for a, v in zip("xyz", mni, strict=True)}


def _means(lesions, sizes, values) -> list[float | None]:
    """Mean of an image over every lesion; None where it is not given or not finite."""
    if values is None:
        return [None] * len(sizes)
    inside = lesions > 0
    sums = np.bincount(
        lesions[inside], weights=np.asarray(values[inside], float), minlength=len(sizes) + 1
    )
    means = sums[1:] / sizes
    return [float(mean) if np.isfinite(mean) else None for mean in means]


def summarise_lesions(table: LesionTable) -> dict[str, float | int | str | None]:
    """Columns of ``*_morph.tsv`` of a session's lesions; None for what could not be measured.

    Volumes are in mL. ``lesion_dissemination_count`` is the number, 0 to 3, of the regions of
    dissemination in space with at least one lesion (McDonald 2017): the cord is not seen here and
    no least diameter is asked for. Lesions outside the brain count in the total alone.
    """
    rows = table.rows
    columns = {
        "lesion_count": len(rows),
        "lesion_ml": _total_ml(row["lesion_mm3"] for row in rows),
        "lesion_soft_ml": _total_ml(row["lesion_soft_mm3"] for row in rows),
    }
    known = table.regions_flag == "ok"
    for region in REGIONS:
        here = [row["lesion_mm3"] for row in rows if row["region"] == region]
        columns[f"lesion_{region}_count"] = len(here) if known else None
        columns[f"lesion_{region}_ml"] = _total_ml(here) if known else None
    columns["lesion_dissemination_count"] = (
        sum(columns[f"lesion_{region}_count"] > 0 for region in DISSEMINATION_REGIONS)
        if known else None
    )  # fmt: skip
    columns["lesion_t1w_hypointense_ml"] = None
    if table.t1w_flag == "ok":
        dark = [(row["t1w_hypointense_fraction"], row["lesion_mm3"]) for row in rows]
        columns["lesion_t1w_hypointense_ml"] = _total_ml(
            None if fraction is None else fraction * mm3 for fraction, mm3 in dark
        )
    columns["qc_lesion_regions_flag"] = table.regions_flag
    columns["qc_lesion_t1w_flag"] = table.t1w_flag
    return columns


def _total_ml(volumes_mm3) -> float | None:
    """Sum in mL; None if any part is unknown, since the rest would look like the whole."""
    volumes = list(volumes_mm3)
    return None if None in volumes else sum(volumes) / 1000


def implausibility(
    table: LesionTable,
    lesions: np.ndarray,
    structures: np.ndarray | None,
    probability: np.ndarray | None = None,
    few_ml: float = 0.0,
) -> str:
    """Why a session's lesions want a look, or ``ok``.

    ``lesions`` is the map (X, Y, Z) that ``table`` measures; ``structures`` and ``probability``
    are on its grid. Checked are an unusable probability, no brain, no lesion at all, more than
    10 % of the lesions outside the brain, more than 10 % of the white matter (the white matter's
    labels and all lesions), and less than ``few_ml`` in all, below which the network was seen to
    find as much that is none.
    """
    if probability is not None:
        if not np.isfinite(probability).all():
            return "the lesion probability holds values that are no numbers"
        if probability.min() == probability.max():
            return "the lesion probability is the same everywhere"
    if structures is None or not np.isin(structures, BRAIN).any():
        return "no structures were segmented, so the place of the lesions cannot be checked"
    if not table.rows:
        return "no lesion was found, as in a healthy brain or where the segmentation failed"
    inside = lesions > 0
    if table.regions_flag == "ok":
        outside = sum(r["outside_brain_fraction"] * r["lesion_voxel_count"] for r in table.rows)
        share = outside / np.count_nonzero(inside)
        if share > LARGEST_SHARE_OUTSIDE:
            return f"{100 * share:.0f}% of the lesions lies outside the brain"
    white = np.isin(structures, WHITE_MATTER) | inside
    share = np.count_nonzero(inside) / np.count_nonzero(white)
    if share > LARGEST_SHARE_OF_WHITE_MATTER:
        return f"lesions fill {100 * share:.0f}% of the white matter"
    total_ml = _total_ml(row["lesion_mm3"] for row in table.rows)
    if total_ml < few_ml:
        return (
            f"only {total_ml:.1f} mL of lesions were found; below {few_ml:g} mL much of what this"
            " network finds can be false"
        )
    return "ok"
