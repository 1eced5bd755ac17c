"""Volumes of the thalami, deep grey matter and intracranial space on T1w, and when to trust them.

The classes are those of Opfer 2022 (section "3D-CNN for thalamus segmentation"). Each flag is a
column of its own and sets only its own numbers to None: a head cut by the field of view still has
its thalami.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from measures import thalamus

LEFT, RIGHT, DEEP_GRAY, INTRACRANIAL = 1, 2, 3, 4  # labels; their probabilities in this order
PLAUSIBLE_TIV_ML = (700.0, 2200.0)
# Thalami, caudate, putamen, pallidum and accumbens: 23 to 39 mL by SAMSEG in the heads of our kit.
PLAUSIBLE_DEEP_GRAY_ML = (12.0, 70.0)
LARGEST_CUT_MM2 = 100.0  # a cap of this cross-section holds less than 0.1 mL of a head
# The cord leaves through the foramen magnum, about 8 cm2; what is wider is a cut head.
LARGEST_CORD_MM2 = 1500.0
# A network takes the end of the data for the skull and may stop short of it by a voxel or two;
# skull and scalp keep an intracranial space that is whole at least this far from the end.
NEAR_EDGE_MM = 2.0
# A rounded head fills at most half as much of its first plane (up to 5 mm thick) as of the plane
# 5 mm further in; a head cut where its intracranial space begins, 10 mm under the skin, two thirds.
ABRUPT, ABRUPT_WITHIN_MM = 0.6, 5.0
NEAREST_SIDES_MM = 5.0  # left to right thalamus; their centres are about 22 mm apart
FACES = (("left", "right"), ("posterior", "anterior"), ("inferior", "superior"))


@dataclass(frozen=True)
class Scan:
    """What is known about the T1w image.

    ``data`` (X, Y, Z) intensities, ``affine`` voxel to world (4x4, mm, RAS+ world),
    ``slice_thickness_mm`` largest voxel edge, ``brain_extracted`` whether the skull was removed.
    """

    data: np.ndarray
    affine: np.ndarray
    slice_thickness_mm: float
    brain_extracted: bool


def head_measures(
    probability: np.ndarray, labels: np.ndarray, clipped: bool, scan: Scan
) -> dict[str, float | str | None]:
    """Columns of ``*_morph.tsv`` from a segmented head; None where a flag is not ``ok``.

    ``probability`` float (4, X, Y, Z) in the order of the labels, ``labels`` uint8 (X, Y, Z): 0
    background, 1 left thalamus, 2 right thalamus, 3 other deep grey matter, 4 the rest of the
    intracranial space; ``clipped``: the network did not see all of the head.
    """
    ml = float(abs(np.linalg.det(scan.affine[:3, :3]))) / 1000
    soft = [float(one.sum(dtype=np.float64)) * ml for one in probability]
    hard = [float((labels == side).sum()) * ml for side in (LEFT, RIGHT)]
    thalami = thalamus.columns("t1w", hard, soft[:2])
    deep_gray_ml, tiv_ml = sum(soft[:3]), sum(soft)
    box = imaged_box(scan.data, scan.affine)
    flags = {
        "qc_thalamus_t1w_flag": _thalamus_flag(thalami, labels, scan, box),
        "qc_deep_gray_matter_flag": _deep_gray_flag(deep_gray_ml, labels, scan, box),
        "qc_tiv_flag": _tiv_flag(tiv_ml, labels, clipped, scan, box),
    }
    good = {name: flag == "ok" for name, flag in flags.items()}
    if not good["qc_thalamus_t1w_flag"]:
        thalami = dict.fromkeys(thalami)
        if good["qc_deep_gray_matter_flag"]:
            flags["qc_deep_gray_matter_flag"] = "it includes the thalami, which are implausible"
            good["qc_deep_gray_matter_flag"] = False
    both = good["qc_thalamus_t1w_flag"] and good["qc_tiv_flag"]
    return thalami | {
        "deep_gray_matter_ml": deep_gray_ml if good["qc_deep_gray_matter_flag"] else None,
        "tiv_ml": tiv_ml if good["qc_tiv_flag"] else None,
        "thalamus_t1w_fraction": thalami["thalamus_t1w_soft_ml"] / tiv_ml if both else None,
        **flags,
    }


def not_found(reason: str) -> dict[str, str]:
    """The flags of an image in which no head was found; its numbers are absent."""
    names = ("qc_thalamus_t1w_flag", "qc_deep_gray_matter_flag", "qc_tiv_flag")
    return dict.fromkeys(names, reason)


def imaged_box(data: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Voxel bounds (3, 2), half open, of the field of view of ``data`` (X, Y, Z).

    It is the grid or less: a grid may have been filled from a smaller one, with zeros around, and
    a picture that begins abruptly begins with its field of view. A plane counts as picture when
    more than 0.2% of its voxels exceed 1% of the image's bright end.
    """
    positive = data[data > 0]
    level = 0.01 * np.percentile(positive, 99) if positive.size else 0.0
    bright = np.abs(data) > level
    box = np.array([(0, n) for n in data.shape])
    for axis, size in enumerate(np.linalg.norm(affine[:3, :3], axis=0)):
        filled = bright.mean(axis=tuple(a for a in range(3) if a != axis))
        step = max(1, round(ABRUPT_WITHIN_MM / size))
        box[axis] = _begin(filled, step), filled.size - _begin(filled[::-1], step)
    return box


def _begin(filled: np.ndarray, step: int) -> int:
    """First plane of the field of view, from the filled fraction of each plane of an axis."""
    where = np.flatnonzero(filled > 0.002)
    if not where.size:
        return 0
    first = int(where[0])
    inner = filled[min(first + step, filled.size - 1)]
    return first if filled[first] > ABRUPT * inner else 0


def edge_areas(mask: np.ndarray, affine: np.ndarray, box: np.ndarray) -> dict[str, float]:
    """Area (mm2) of a mask (X, Y, Z) at each face of the imaged box, by the name of the face.

    It is the largest cross-section within NEAR_EDGE_MM of the face (one plane at least), so that
    a segmentation that stops a voxel short of the edge is seen as cut too.
    """
    axes = affine[:3, :3]
    size = np.linalg.norm(axes, axis=0)
    inside = mask[tuple(slice(*bounds) for bounds in box)]
    areas = {}
    for axis, (world, upward) in enumerate(_world_axes(axes)):
        others = tuple(a for a in range(3) if a != axis)
        planes = inside.sum(axis=others) * float(np.prod(size[list(others)]))
        depth = max(1, int(NEAR_EDGE_MM / size[axis]))
        ends = (planes[:depth].max(initial=0.0), planes[-depth:].max(initial=0.0))
        low, high = ends if upward else ends[::-1]
        areas |= {FACES[world][0]: float(low), FACES[world][1]: float(high)}
    return areas


def _world_axes(axes: np.ndarray) -> list[tuple[int, bool]]:
    """For each voxel axis: the world axis it runs along (each once), and whether upwards."""
    from nibabel.orientations import io_orientation

    affine = np.eye(4)
    affine[:3, :3] = axes
    return [(int(world), flip > 0) for world, flip in io_orientation(affine)]


def _thalamus_flag(thalami, labels, scan, box) -> str:
    mask = (labels == LEFT) | (labels == RIGHT)
    flag = thalamus.implausibility(
        thalami["thalamus_t1w_ml"],
        thalami["thalamus_t1w_asymmetry"],
        scan.slice_thickness_mm,
        any(edge_areas(mask, scan.affine, box).values()),
    )
    if flag == "ok" and not _side_by_side(labels, scan.affine):
        return "the left thalamus does not lie left of the right one"
    return flag


def _side_by_side(labels, affine) -> bool:
    """Whether the labels left and right are where their names say, in world space."""
    left, right = (thalamus.voxel_positions(labels == side, affine)[:, 0] for side in (LEFT, RIGHT))
    return bool(left.size and right.size and right.mean() - left.mean() > NEAREST_SIDES_MM)


def _deep_gray_flag(deep_gray_ml, labels, scan, box) -> str:
    mask = (labels >= LEFT) & (labels <= DEEP_GRAY)
    low, high = PLAUSIBLE_DEEP_GRAY_ML
    if not low <= deep_gray_ml <= high:
        return f"volume of {deep_gray_ml:.1f} mL is outside {low:.0f}-{high:.0f} mL"
    if any(edge_areas(mask, scan.affine, box).values()):
        return "the deep grey matter is cut by the edge of the field of view"
    return "ok"


def _tiv_flag(tiv_ml, labels, clipped, scan, box) -> str:
    if scan.brain_extracted:
        return "the image is brain-extracted; intracranial volume may be too small"
    areas = edge_areas(labels > 0, scan.affine, box)
    cord = areas.pop("inferior")
    if clipped or cord > LARGEST_CORD_MM2 or max(areas.values()) > LARGEST_CUT_MM2:
        return "the field of view cuts the head"
    low, high = PLAUSIBLE_TIV_ML
    if not low <= tiv_ml <= high:
        return f"volume of {tiv_ml:.0f} mL is outside {low:.0f}-{high:.0f} mL"
    return "ok"
