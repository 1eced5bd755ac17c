"""Compare what MSMorph measured on the demo dataset with the truth of the simulation.

    python -m bids_app.demo.compare DEMO_BIDS DEMO_OUT

Prints a table and where the reports are. Exit code 1 when a thalamus volume is off by more than
8% or an atrophy has the wrong sign, so that `make demo` notices.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bids_app.tables import read_tsv

TOLERANCE_PERCENT = 8.0
SIDES = ("left", "right")
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


def read_measured(out_dir: Path) -> dict[Key, dict[str, float | None]]:
    """Measured volumes in mL (summed probability) by session; None for n/a."""
    _, rows = read_tsv(out_dir / "group_morph.tsv")
    measured = {}
    for row in rows:
        values = {side: row[f"thalamus_flair_{side}_soft_ml"] for side in SIDES}
        measured[row["participant_id"], row["session_id"]] = {
            side: None if text == "n/a" else float(text) for side, text in values.items()
        }
    return measured


def compare(truth, measured) -> tuple[list[str], bool]:
    """Lines of the two tables (volumes, change), and whether all lies within the tolerance."""
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
            good &= abs(percent) <= TOLERANCE_PERCENT
            lines.append(f"{' '.join(key):15} {side:6} {true:8.3f}  {found:8.3f}  {percent:+8.1f}%")
    lines.append("change from the first to the last session")
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
    lines, good = compare(read_truth(bids_dir), read_measured(out_dir))
    print("Thalamus on FLAIR (summed probability) against the truth of the simulation")
    print("\n".join(lines))
    for report in sorted(out_dir.glob("sub-*.html")):
        print(f"report: {report}")
    if not good:
        print(f"Some volume is off by more than {TOLERANCE_PERCENT:.0f}%, or a change is reversed.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
