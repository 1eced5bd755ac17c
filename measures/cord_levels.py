"""Vertebral levels of the cord where no disc is labelled: by distance from the top of the cord."""

from __future__ import annotations

#: Where levels come from, as ``level_source`` of the cord's tables says it.
FROM_DISCS, FROM_TOP = "disc labels", "distance from the top of the cord"
#: Distance (mm) from the end of PAM50's cord mask (its slice 990), where the networks learn that
#: the cord ends and the brain begins, down to the upper borders of C2, C3 and C4
#: (``PAM50_label_disc``: slices 939, 908 and 871 of 0.5 mm). So C2 begins 25.5 mm below the top,
#: the disc C2/C3 lies at 41 mm, and C3 ends at 59.5 mm.
BELOW_TOP_MM = {1: 25.5, 2: 41.0, 3: 59.5}
#: Of a head scan, at least so much (mm) lies above the top of the cord: brain stem, cerebellum and
#: cerebrum. With less, what was found ends at the border of the image or in the brain.
HEAD_MM = 80.0


def levels_from_top(
    rows: list[dict], slices: int, slice_mm: float
) -> tuple[list[int | None] | None, str]:
    """Level of every row, or None, and 'ok' or why there are none. For scans of the head.

    ``rows`` are those of :func:`measures.cord.measure_slices` on a scan of the head with ``slices``
    slices of ``slice_mm``, from feet to head. C1 to C3 get a level, at the distances of the
    template's mean neck; farther down its length differs by more from one person to the next, and
    a level would be a guess. How well the distances fit a person is not known here: of each number
    the tables say that it was found so.
    """
    if not rows:
        return None, "no cord"
    above_mm = (slices - 1 - max(row["slice"] for row in rows)) * slice_mm
    if above_mm < HEAD_MM:
        return None, (
            "no vertebral levels are known: there are no disc labels, and less than "
            f"{HEAD_MM:.0f} mm of the head lie above the top of the cord"
        )
    levels = [
        next((n for n, end in BELOW_TOP_MM.items() if row["distance_from_top_mm"] < end), None)
        for row in rows
    ]
    return levels, "ok"
