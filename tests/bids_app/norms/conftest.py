"""A derivatives folder of simulated controls and patients: table, description and sidecars."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bids_app import __version__
from bids_app.norms import SLICE_THICKNESS, TIV
from bids_app.tables import format_value, write_json, write_tsv

COLUMNS = (
    "participant_id", "session_id", "age", "sex", "group", "thalamus_flair_ml",
    "thalamus_t1w_left_ml", "thalamus_t1w_ml", TIV, SLICE_THICKNESS,
)  # fmt: skip
SHA = {"opfer-thalamus": "aa", "deepgrai-stage1": "bb", "deepgrai-stage2": "cc"}


def person(rng, number: int, group: str) -> dict:
    """A row: 14.5 mL at 40 years and 1450 mL, men 0.3 mL more, SD 0.8 mL; FLAIR 1 mL more."""
    age, tiv, male = rng.uniform(20, 70), rng.normal(1450, 100), rng.integers(2)
    volume = 14.5 + 0.008 * (tiv - 1450) - 0.0006 * (age - 40) ** 2 + 0.3 * male
    volume += rng.normal(0, 0.8)
    return {
        "participant_id": f"sub-{number:03}", "session_id": "ses-1", "age": round(age),
        "sex": "FM"[male], "group": group, "thalamus_flair_ml": volume + 1,
        "thalamus_t1w_left_ml": volume / 2, "thalamus_t1w_ml": volume, TIV: tiv,
        SLICE_THICKNESS: rng.uniform(0.9, 1.2),
    }  # fmt: skip


class Cohort:
    """Rows that a test may change before the table is written."""

    def __init__(self, folder: Path):
        self.folder, self.names = folder, list(COLUMNS)
        rng = np.random.default_rng(3)
        self.rows = [person(rng, n, "HC") for n in range(120)]
        self.rows += [person(rng, n, "MS") for n in range(120, 140)]
        for row in self.rows[120:]:
            row["thalamus_t1w_ml"] -= 3
        self.networks = {row["participant_id"]: SHA for row in self.rows}
        self.version = __version__

    def write(self) -> Path:
        """Write the table with all that lies beside it; return its path."""
        generator = {"Name": "MSMorph", "Version": self.version}
        write_json(self.folder / "dataset_description.json", {"GeneratedBy": [generator]})
        for subject, networks in self.networks.items():
            models = [{"Name": name, "SHA256": sha} for name, sha in networks.items()]
            place = self.folder / subject / "ses-1" / "anat"
            write_json(place / f"{subject}_seg-opfer_dseg.json", {"Models": models})
        table = self.folder / "group_morph.tsv"
        spelled = [{n: format_value(row.get(n)) for n in self.names} for row in self.rows]
        write_tsv(table, self.names, spelled)
        return table


@pytest.fixture
def cohort(tmp_path) -> Cohort:
    return Cohort(tmp_path / "controls")


@pytest.fixture
def norms_path(cohort, tmp_path) -> Path:
    """A file of norms of the cohort's controls."""
    from bids_app.norms.fit import Request, fit_norms

    return write_json(tmp_path / "norms.json", fit_norms(Request(cohort.write(), ("HC",))))


@pytest.fixture
def edited(norms_path):
    """Return a function that changes the content of the file of norms."""

    def edit(change) -> Path:
        content = json.loads(norms_path.read_text())
        change(content)
        return write_json(norms_path, content)

    return edit
