"""Is what was found the spinal cord?  Pure functions, no files.

Limits are those that nothing but a wrong segmentation exceeds. The manual cord of sctfakelesion,
the cords that the networks drew on sctms and sctgm, and PAM50's are far inside; thin, flat and
uneven cords of atrophy and compression are meant to pass.
"""

from __future__ import annotations

import numpy as np

from measures.centreline import reference_centreline

#: Numbers of a flag that begins so are n/a; those of any other are kept for a look.
NO_RESULT = "no result: "
#: Mean cross-sectional area of cords, from one with severe atrophy to the largest.
PLAUSIBLE_MM2 = (30.0, 130.0)
#: Area in a section. A compressed cord has some 25 mm2 left; the brain stem has no 200.
PLAUSIBLE_SECTION_MM2 = (15.0, 200.0)
#: Transverse against anterior-posterior diameter, or the other way about: 1.0 to 2.0 in the
#: template; where a cord is flattened to 4 mm by 14 it is 3.5, but never over most of its length.
MOST_ELONGATED, MOSTLY_ELONGATED = 4.0, 2.7
#: Area over that of the ellipse with the same second moments: 0.98 to 1.03 in cords, and less in
#: what is bent, forked or hollow, as a strip of scalp or a rim of CSF.
LEAST_FILLED = 0.8
#: Distance (mm) by which the middle may leave the smooth centreline: 0.7 at most in the training
#: cords, where their ends are cut; half of a cord's anterior-posterior diameter is 4.
FARTHEST_MM = 4.0
#: Change of area (natural logarithm) from one section to the next: below 0.1 in cords.
GREATEST_STEP = 0.4
#: Share of the sections (or steps) beyond a limit that makes it no cord.
SHARE = 0.2
SHORTEST_MM = 10.0
#: Cord at C1 in PAM50 (discs 1 and 2, 47 voxels of 0.5 mm).
C1_MM = 23.5


def cord_flag(
    rows: list[dict], mask: np.ndarray, voxel_mm: np.ndarray, brain_t1w: bool = False
) -> str:
    """'ok', or why the cord of an image is to be looked at, or there is none.

    ``rows`` are those of :func:`measures.cord.measure_slices` and ``mask`` (X, Y, Z) that of
    :func:`measures.cord.cord_mask`, both empty where no cord was found. ``brain_t1w`` tells a head
    scan, whose field of view may end anywhere below the brain.
    """
    measured = [row for row in rows if row["area_mm2"] is not None]
    if not measured:
        return f"{NO_RESULT}no cord was found"
    length_mm = sum(row["slice_length_mm"] for row in measured)
    if length_mm < SHORTEST_MM and 2 * len(measured) < mask.shape[2]:
        return (
            f"{NO_RESULT}only {length_mm:.0f} mm of something like a cord were found, in less than "
            "half of the field of view"
        )
    wrong = shape_fault(measured, mask, voxel_mm)
    if wrong:
        return f"{NO_RESULT}what was found is not shaped like a cord: {wrong}"
    if brain_t1w and length_mm < C1_MM:
        return f"{NO_RESULT}the field of view of this brain T1w ends above C2"
    if any(np.any(mask.take(end, axis)) for axis in (0, 1) for end in (0, -1)):
        return "the cord touches the edge of the field of view"
    if length_mm < SHORTEST_MM:
        return f"only {length_mm:.0f} mm of cord are shown, less than {SHORTEST_MM:.0f} mm"
    return "ok"


def shape_fault(measured: list[dict], mask: np.ndarray, voxel_mm: np.ndarray) -> str | None:
    """What about the shape of a found cord no cord has; None for a plausible one.

    ``measured`` are the rows of :func:`cord_flag` that have an area, at least one. More than a
    fifth of the sections must be at fault; thin ones at either end are not counted, since the cord
    tapers to its tip and the last section may be cut.
    """
    areas = np.array([row["area_mm2"] for row in measured])
    mean_mm2 = float(areas.mean())
    low, high = PLAUSIBLE_MM2
    if not low <= mean_mm2 <= high:
        return f"its mean area of {mean_mm2:.0f} mm2 is outside of {low:.0f} to {high:.0f} mm2"
    low, high = PLAUSIBLE_SECTION_MM2
    thick = np.flatnonzero(areas >= low)
    rows = measured[thick[0] : thick[-1] + 1]
    areas = areas[thick[0] : thick[-1] + 1]
    diameters = np.array([(row["ap_diameter_mm"], row["transverse_diameter_mm"]) for row in rows])
    elongated = diameters.max(axis=1) / np.maximum(diameters.min(axis=1), 1e-3)
    ellipse_mm2 = np.pi / 4 * diameters.prod(axis=1)
    away_mm = _away_from_line_mm(mask, np.asarray(voxel_mm, float))
    steps = np.abs(np.diff(np.log(areas)))
    faults = {
        f"sections have less than {low:.0f} or more than {high:.0f} mm2": (
            (areas < low) | (areas > high)
        ),
        f"sections are more than {MOST_ELONGATED:.0f} times as long as wide": (
            elongated > MOST_ELONGATED
        ),
        f"sections are mostly more than {MOSTLY_ELONGATED} times as long as wide": (
            np.median(elongated, keepdims=True) > MOSTLY_ELONGATED
        ),
        "sections are bent or hollow": areas < LEAST_FILLED * ellipse_mm2,
        f"the middle jumps by more than {FARTHEST_MM:.0f} mm": away_mm > FARTHEST_MM,
        "the area changes wildly from section to section": steps > GREATEST_STEP,
    }
    found = [text for text, wrong in faults.items() if len(wrong) and np.mean(wrong) > SHARE]
    return found[0] if found else None


def _away_from_line_mm(mask, voxel_mm) -> np.ndarray:
    """Distance (mm) of every section's middle from the smooth line through all of them."""
    slices = np.flatnonzero(mask.any(axis=(0, 1)))
    line = reference_centreline(mask, voxel_mm)[slices - slices[0], :2]
    here = mask[:, :, slices]
    total = here.sum(axis=(0, 1))
    middles = [np.tensordot(np.arange(n), here.sum(axis=1 - a), 1) / total
               for a, n in enumerate(mask.shape[:2])]  # fmt: skip
    return np.linalg.norm((np.stack(middles, 1) - line) * voxel_mm[:2], axis=1)
