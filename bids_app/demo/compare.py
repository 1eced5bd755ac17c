"""Compare what MSMorph measured on the demo dataset with the truth of the simulation.

    python -m bids_app.demo.compare DEMO_BIDS DEMO_OUT

Prints a table for each contrast, one of the lesions, and where the reports are. Exit code 1 when a
thalamus volume is off by more than 8% on FLAIR or 20% on T1w, an atrophy has the wrong sign, or a
lesion volume is off by more than 20% (in all, and in each region with at least 0.2 mL of them), so
that `make demo` notices. The T1w network draws the lateral border inside that of the phantom, as
its teacher does (docs/benchmarks.md): there, the check is for gross failure. Where no session has
any lesion volume, the lesion branch did not run: that is said and is no failure.

The same holds for the spinal cord of the one session that has it (``--tasks cord``). Where it was
measured, its mean area must be within 10%, and its lesion must be found; the lesion's volume, of
whose voxels most lie at its border, is shown and not judged.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bids_app.tables import read_tsv
from measures.lesion_regions import REGIONS

TOLERANCE_PERCENT = {"flair": 8.0, "t1w": 20.0}
SIDES = ("left", "right")
CONTRASTS = {"flair": "FLAIR", "t1w": "T1w"}
LESION_TOLERANCE_PERCENT = 20.0
#: Below this a region's true volume (mL) is a lesion or less: its difference is shown, not judged.
LEAST_REGION_ML = 0.2
LESION_COLUMNS = {"all": "lesion_ml", **{region: f"lesion_{region}_ml" for region in REGIONS}}
CORD_TOLERANCE_PERCENT = 10.0
#: Column of truth.tsv and of group_morph.tsv -> whether its difference is judged.
CORD_COLUMNS = {"cord_csa_mean_mm2": True, "cord_csa_c2c3_mm2": False, "cord_lesion_mm3": False}
Key = tuple[str, str]


def read_truth(bids_dir: Path) -> dict[Key, dict[str, float]]:
    """True volumes in mL by (participant_id, session_id), sides as keys."""
    _, rows = read_tsv(bids_dir / "derivatives" / "truth" / "truth.tsv")
    return {
        (row["participant_id"], row["session_id"]): {
            side: float(row[f"thalamus_{side}_ml"]) for side in SIDES
        }
        for row in rows
    }


def read_measured(out_dir: Path, contrast: str) -> dict[Key, dict[str, float | None]]:
    """Measured volumes in mL (summed probability) by session; None for n/a.

    ``contrast`` is ``flair`` or ``t1w``.
    """
    _, rows = read_tsv(out_dir / "group_morph.tsv")
    measured = {}
    for row in rows:
        values = {side: row[f"thalamus_{contrast}_{side}_soft_ml"] for side in SIDES}
        measured[row["participant_id"], row["session_id"]] = {
            side: None if text == "n/a" else float(text) for side, text in values.items()
        }
    return measured


def compare(truth, measured, tolerance_percent: float) -> tuple[list[str], bool]:
    """Lines of the two tables (volumes, change), and whether all lies within the tolerance."""
    volumes, close = _volumes(truth, measured, tolerance_percent)
    changes, same_sign = _changes(truth, measured)
    return volumes + changes, close and same_sign


def _volumes(truth, measured, tolerance_percent: float) -> tuple[list[str], bool]:
    good = True
    lines = ["session         side    true mL  measured  difference"]
    for key, sides in sorted(truth.items()):
        for side, true in sides.items():
            found = measured.get(key, {}).get(side)
            if found is None:
                lines.append(f"{' '.join(key):15} {side:6} {true:8.3f}       n/a")
                good = False
                continue
            percent = 100 * (found - true) / true
            good &= abs(percent) <= tolerance_percent
            lines.append(f"{' '.join(key):15} {side:6} {true:8.3f}  {found:8.3f}  {percent:+8.1f}%")
    return lines, good


def _changes(truth, measured) -> tuple[list[str], bool]:
    good = True
    lines = ["change from the first to the last session"]
    for participant in sorted({key[0] for key in truth}):
        first, *_, last = sorted(key for key in truth if key[0] == participant)
        for side in SIDES:
            pair = [measured.get(key, {}).get(side) for key in (first, last)]
            if None in pair:
                continue
            true = 100 * (truth[last][side] / truth[first][side] - 1)
            found = 100 * (pair[1] / pair[0] - 1)
            good &= true * found > 0
            lines.append(f"{participant:15} {side:6} {true:+7.1f}%  {found:+7.1f}%")
    return lines, good


def read_lesions(path: Path) -> dict[Key, dict[str, float]]:
    """Lesion volumes in mL by session, keys as in ``LESION_COLUMNS``; what is n/a is left out.

    ``path`` is truth.tsv or group_morph.tsv, which name these columns alike.
    """
    _, rows = read_tsv(path)
    return {
        (row["participant_id"], row["session_id"]): {
            place: float(row[column])
            for place, column in LESION_COLUMNS.items()
            if row.get(column, "n/a") != "n/a"
        }
        for row in rows
    }


def compare_lesions(truth, measured, tolerance_percent: float) -> tuple[list[str], bool]:
    """Lines of the table of lesion volumes, and whether those that count are within the tolerance.

    A volume that was not measured fails where its truth counts, unless none was in any session.
    """
    if not any(measured.get(key) for key in truth):
        return ["n/a in all sessions: the lesion branch did not run"], True
    good = True
    lines = ["session         where               true mL  measured  difference"]
    for key, places in sorted(truth.items()):
        for place, true in places.items():
            counts = place == "all" or true >= LEAST_REGION_ML
            found = measured.get(key, {}).get(place)
            start = f"{' '.join(key):15} {place:18} {true:8.3f}"
            if found is None or not true:
                lines.append(f"{start}  {'n/a' if found is None else f'{found:.3f}':>8}")
                good &= not counts
                continue
            percent = 100 * (found - true) / true
            good &= not counts or abs(percent) <= tolerance_percent
            remark = "" if counts else "  (not judged)"
            lines.append(f"{start}  {found:8.3f}  {percent:+8.1f}%{remark}")
    return lines, good


def _print_lesions(bids_dir: Path, out_dir: Path) -> bool:
    """Print the lesions' table; False when a volume that counts is off."""
    print("Lesions (volume of the mask) against the truth of the simulation")
    truth = read_lesions(bids_dir / "derivatives" / "truth" / "truth.tsv")
    measured = read_lesions(out_dir / "group_morph.tsv")
    lines, good = compare_lesions(truth, measured, LESION_TOLERANCE_PERCENT)
    print("\n".join(lines))
    if not good:
        print(
            f"FAILED: a lesion volume is off by more than {LESION_TOLERANCE_PERCENT:.0f}%, in all "
            f"or in a region with at least {LEAST_REGION_ML} mL, or was not measured"
        )
    print()
    return good


def read_cord(path: Path) -> dict[Key, dict[str, str]]:
    """Columns of the cord in truth.tsv or group_morph.tsv by session, those that are not n/a."""
    _, rows = read_tsv(path)
    names = (*CORD_COLUMNS, "cord_lesion_count", "qc_cord_flag")
    return {
        (row["participant_id"], row["session_id"]): {
            name: row[name] for name in names if row.get(name, "n/a") != "n/a"
        }
        for row in rows
    }


def compare_cord(truth, measured) -> tuple[list[str], bool]:
    """Lines on the cord, and whether its mean area is close and its lesion was found.

    Both by session, as of :func:`read_cord`.
    """
    known = {key: columns for key, columns in truth.items() if columns}
    if not any("qc_cord_flag" in measured.get(key, {}) for key in known):
        return ["n/a: the cord task did not run (--tasks cord)"], True
    good = True
    lines = ["session         what                   true  measured  difference"]
    for key, columns in sorted(known.items()):
        found = measured.get(key, {})
        for name, judged in CORD_COLUMNS.items():
            true = float(columns[name])
            start = f"{' '.join(key):15} {name:18} {true:8.1f}"
            if name not in found:
                lines.append(f"{start}       n/a")
                good &= not judged
                continue
            percent = 100 * (float(found[name]) / true - 1)
            good &= not judged or abs(percent) <= CORD_TOLERANCE_PERCENT
            remark = "" if judged else "  (not judged)"
            lines.append(f"{start}  {float(found[name]):8.1f}  {percent:+8.1f}%{remark}")
        lines.append(f"lesions found: {found.get('cord_lesion_count', 'n/a')} "
                     f"(true: {columns['cord_lesion_count']})")  # fmt: skip
        good &= found.get("cord_lesion_count") != "0"
    return lines, good


def _print_cord(bids_dir: Path, out_dir: Path) -> bool:
    """Print the cord's table; False when its area is off or its lesion was not found."""
    print("Spinal cord against the truth of the simulation")
    truth = read_cord(bids_dir / "derivatives" / "truth" / "truth.tsv")
    lines, good = compare_cord(truth, read_cord(out_dir / "group_morph.tsv"))
    print("\n".join(lines))
    if not good:
        print(
            f"FAILED: the cord's mean area is off by more than {CORD_TOLERANCE_PERCENT:.0f}% or "
            "was not measured, or its lesion was not found"
        )
    print()
    return good


def main(argv: list[str] | None = None) -> int:
    """Print the comparison; returns 0 when all measures lie within the tolerance, else 1."""
    bids_dir, out_dir = (Path(p) for p in (sys.argv[1:] if argv is None else argv))
    truth, good = read_truth(bids_dir), True
    for contrast, name in CONTRASTS.items():
        tolerance = TOLERANCE_PERCENT[contrast]
        lines, close = compare(truth, read_measured(out_dir, contrast), tolerance)
        good &= close
        print(f"Thalamus on {name} (summed probability) against the truth of the simulation")
        print("\n".join(lines))
        if not close:
            print(f"FAILED: a volume is off by more than {tolerance:.0f}%, or a change is reversed")
        print()
    good &= _print_lesions(bids_dir, out_dir)
    good &= _print_cord(bids_dir, out_dir)
    for report in sorted(out_dir.glob("sub-*.html")):
        print(f"report: {report}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
