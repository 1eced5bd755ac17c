"""Compare what MSMorph measured on the demo dataset with the truth of the simulation.

    python -m bids_app.demo.compare DEMO_BIDS DEMO_OUT

Prints a table for each contrast and where the reports are. Exit code 1 when a thalamus volume is
off by more than 8% on FLAIR or 20% on T1w, or an atrophy has the wrong sign, so that `make demo`
notices. The T1w network draws the lateral border inside that of the phantom, as its teacher does
(docs/benchmarks.md): there, the check is for gross failure.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bids_app.tables import read_tsv

TOLERANCE_PERCENT = {"flair": 8.0, "t1w": 20.0}
SIDES = ("left", "right")
CONTRASTS = {"flair": "FLAIR", "t1w": "T1w"}
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
    for report in sorted(out_dir.glob("sub-*.html")):
        print(f"report: {report}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
