"""Is what was found the spinal cord?  Pure functions, no files."""

from __future__ import annotations

import numpy as np

#: Numbers of a flag that begins so are n/a; those of any other are kept for a look.
NO_RESULT = "no result: "
#: Mean cross-sectional area of cords, from one with severe atrophy to the largest.
PLAUSIBLE_MM2 = (30.0, 130.0)
SHORTEST_MM = 10.0
#: Cord at C1 in PAM50 (discs 1 and 2, 47 voxels of 0.5 mm).
C1_MM = 23.5


def cord_flag(rows: list[dict], mask: np.ndarray, brain_t1w: bool = False) -> str:
    """'ok', or why the cord of an image is to be looked at, or there is none.

    ``rows`` are those of :func:`measures.cord.measure_slices` and ``mask`` (X, Y, Z) that of
    :func:`measures.cord.cord_mask`, both empty where no cord was found. ``brain_t1w`` tells a head
    scan, whose field of view may end anywhere below the brain.
    """
    measured = [row for row in rows if row["area_mm2"] is not None]
    if not measured:
        return f"{NO_RESULT}no cord was found"
    length_mm = sum(row["slice_length_mm"] for row in measured)
    if brain_t1w and length_mm < C1_MM:
        return f"{NO_RESULT}the field of view of this brain T1w ends above C2"
    mean_mm2 = float(np.mean([row["area_mm2"] for row in measured]))
    low, high = PLAUSIBLE_MM2
    if not low <= mean_mm2 <= high:
        return f"mean area of {mean_mm2:.0f} mm2 is outside of {low:.0f} to {high:.0f} mm2"
    if any(np.any(mask.take(end, axis)) for axis in (0, 1) for end in (0, -1)):
        return "the cord touches the edge of the field of view"
    if length_mm < SHORTEST_MM:
        return f"only {length_mm:.0f} mm of cord are shown, less than {SHORTEST_MM:.0f} mm"
    return "ok"
