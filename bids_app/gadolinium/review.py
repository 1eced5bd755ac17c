"""Candidates for a reader: a table to fill in, a page of pictures, and what became of them."""

from __future__ import annotations

from html import escape
from pathlib import Path

from bids_app.atomic import atomic_write_text
from bids_app.errors import UsageError
from bids_app.gadolinium.session import IMAGES, PICTURES, figure_path
from bids_app.tables import MISSING, format_value, prefix_of, read_tsv, write_tsv

TABLE, PAGE = "candidates.tsv", "candidates.html"
COLUMNS = ("participant_id", "session_id", "candidate", "voxels", "volume_mm3", "x_mm", "y_mm",
           "z_mm", "peak_sd", "confirmed")  # fmt: skip
#: A session without candidates has one row of this number, which a reader confirms too.
NONE = 0
CONFIRMED = "space-FLAIR_label-enhancing_desc-confirmed_mask"
_HELP = (
    "Outlined in red are candidates: voxels that are brighter after contrast agent, in or near a "
    "lesion. Vessels, choroid plexus and misalignment look alike. Write yes or no into the column "
    f"confirmed of {TABLE}; for a session with candidate 0 (nothing was found), yes says that "
    "nothing enhances, and no leaves the session out. Then run msmorph-gadolinium --confirm."
)


def candidate_rows(prefix: str, candidates: list) -> list[dict[str, str]]:
    """Rows of the table for one session, still to be confirmed."""
    parts = dict(part.split("-", 1) for part in prefix.split("_"))
    own = {
        "participant_id": f"sub-{parts['sub']}",
        "session_id": f"ses-{parts['ses']}" if "ses" in parts else MISSING,
        "confirmed": MISSING,
    }
    if not candidates:
        return [own | {"candidate": str(NONE), "voxels": "0"}]
    rows = []
    for one in candidates:
        values = dict(zip(("x_mm", "y_mm", "z_mm"), one.centre_mm, strict=True))
        values |= {"candidate": one.number, "voxels": one.voxels, "volume_mm3": one.volume_mm3}
        values["peak_sd"] = one.peak_sd
        rows.append(own | {name: format_value(value) for name, value in values.items()})
    return rows


def write_review(out_dir: Path, rows: list[dict[str, str]]) -> None:
    """Write the table and the page."""
    write_tsv(out_dir / TABLE, COLUMNS, rows)
    parts = ["<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">',
             "<title>Candidates of enhancement</title><style>body{font:16px/1.5 sans-serif;"
             "max-width:1120px;margin:24px auto}img{width:100%;background:#000}td,th{padding:3px "
             "14px 3px 0;text-align:left}</style></head><body><h1>Candidates of enhancement</h1>",
             f"<p>{escape(_HELP)}</p>"]  # fmt: skip
    for prefix in dict.fromkeys(_prefix(row) for row in rows):
        own = [row for row in rows if _prefix(row) == prefix]
        parts += [f"<h2>{escape(prefix)}</h2><table>", _line("th", COLUMNS[2:-1])]
        parts += [_line("td", [row.get(c, MISSING) for c in COLUMNS[2:-1]]) for row in own]
        parts.append("</table>")
        for when in PICTURES.values():
            where = figure_path(out_dir, prefix, when).relative_to(out_dir).as_posix()
            parts.append(f'<img src="./{escape(where)}" alt="{escape(prefix)}, {when}">')
    atomic_write_text(out_dir / PAGE, "\n".join([*parts, "</body></html>"]) + "\n")


def _line(tag: str, cells) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _prefix(row: dict[str, str]) -> str:
    return prefix_of(row["participant_id"], row["session_id"])


def confirm(out_dir: Path) -> tuple[list[str], dict[str, str]]:
    """Write the masks of what a reader has confirmed; (sessions written, reason of those not).

    An older mask of a session that is no longer confirmed is deleted. Raises UsageError for a
    table with anything else than yes, no and n/a.
    """
    _, rows = read_tsv(out_dir / TABLE)
    for row in rows:
        if row.get("confirmed", "").lower() not in ("yes", "no", MISSING):
            raise UsageError(
                f"{out_dir / TABLE} has '{row.get('confirmed')}' as confirmed; write yes or no."
            )
    written, left = [], {}
    for prefix in dict.fromkeys(_prefix(row) for row in rows):
        own = {
            int(row["candidate"]): row["confirmed"].lower()
            for row in rows if _prefix(row) == prefix
        }  # fmt: skip
        base = out_dir.joinpath(*prefix.split("_"), "anat")
        if MISSING in own.values():
            left[prefix] = "not all of its candidates are confirmed or refused"
        elif own.get(NONE) == "no":
            left[prefix] = "nothing was found where something enhances; draw its mask by hand"
        else:
            _write_mask(base, prefix, [n for n, said in own.items() if n and said == "yes"])
            written.append(prefix)
            continue
        (base / f"{prefix}_{CONFIRMED}.nii.gz").unlink(missing_ok=True)
    return written, left


def _write_mask(folder: Path, prefix: str, numbers: list[int]) -> None:
    import nibabel as nib
    import numpy as np

    from interfaces.images import save_nifti

    labels = nib.load(folder / f"{prefix}_{IMAGES['candidates']}.nii.gz")
    mask = np.isin(np.asarray(labels.dataobj), numbers).astype(np.uint8)
    save_nifti(mask, labels.affine, folder / f"{prefix}_{CONFIRMED}.nii.gz")
