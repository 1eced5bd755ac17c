"""Cohorts of invented derivatives for the tests of the group level: tables, no images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bids_app import tables
from bids_app.dictionary import LESIONS, SLICES


def write_session(out_dir: Path, subject: str, session: str | None = None, **measures) -> Path:
    """Write a session's ``*_morph.tsv`` (labels without prefix) and return its path."""
    labels = [f"sub-{subject}", *([f"ses-{session}"] if session else [])]
    row = {"participant_id": labels[0], "session_id": labels[1] if session else None, **measures}
    path = out_dir.joinpath(*labels, "anat", "_".join([*labels, "morph.tsv"]))
    return tables.write_morph_row(row, path)


def write_part(morph: Path, table: str, rows: list[dict], entities: str = "") -> Path:
    """Write a table of a session's parts beside its ``*_morph.tsv``; the labels are put in."""
    row = tables.read_tsv(morph)[1][0]
    labels = {key: row[key] for key in ("participant_id", "session_id")}
    path = morph.with_name(morph.name.replace("_morph", f"{entities}_desc-{table}_morph"))
    return tables.write_rows([labels | own for own in rows], path, table)


def write_cohort(out_dir: Path, subjects: int, sessions: int, generator: np.random.Generator):
    """Write tables of sessions with thalamus, lesions and cord, and who the participants are.

    Per session a morph row with every number of the dictionary, 30 lesions, and 60 sections of
    a cord image; one in three participants is a control.
    """
    from bids_app import dictionary

    numbers = [c for c in dictionary.columns() if dictionary.describe(c)["Type"] == "number"]
    flags = [c for c in dictionary.columns() if dictionary.is_flag(c)]
    people, days = ["participant_id\tage\tsex\tgroup"], ["session_id\tdays_since_baseline"]
    days += [f"ses-{n}\t{365 * n}" for n in range(sessions)]
    for number in range(subjects):
        name = f"{number:04d}"
        people.append(f"sub-{name}\t{20 + number % 50}\t{'FM'[number % 2]}\t"
                      f"{'HC' if number % 3 == 0 else 'MS'}")  # fmt: skip
        own = generator.lognormal(2, 0.1, len(numbers))
        for session in range(sessions):
            values = own + generator.normal(0, 0.1, len(numbers)) - 0.1 * session
            row = dict(zip(numbers, values.tolist(), strict=True)) | dict.fromkeys(flags, "ok")
            path = write_session(out_dir, name, str(session), **row)
            sizes = generator.exponential(80, 30).tolist()
            write_part(path, LESIONS, [{"lesion_id": i, "lesion_mm3": v, "region": "juxtacortical"}
                                       for i, v in enumerate(sizes)])  # fmt: skip
            areas = generator.normal(70, 3, 60).tolist()
            write_part(path, SLICES, [{"cord_image": "T2w", "slice": i, "area_mm2": v}
                                      for i, v in enumerate(areas)], "_space-T2w")  # fmt: skip
        (out_dir / f"sub-{name}" / f"sub-{name}_sessions.tsv").write_text("\n".join(days) + "\n")
    (out_dir / "participants.tsv").write_text("\n".join(people) + "\n")
