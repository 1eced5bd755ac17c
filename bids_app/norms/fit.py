"""From a table of controls to the content of a file of norms."""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bids_app import __version__
from bids_app.errors import UsageError
from bids_app.norms import SLICE_THICKNESS, TIV, VOLUMES, contrast_of, networks_of
from bids_app.norms.demographics import check_years, is_male
from bids_app.norms.file import FORMAT, KIND, definition
from bids_app.tables import MISSING, Row, TableError, read_json, read_tsv
from measures.head import PLAUSIBLE_TIV_ML
from measures.norms import AGREEMENT_SD, Norm, fit_norm
from measures.thalamus import PLAUSIBLE_ML

LOGGER = logging.getLogger("msmorph.norms")
_AGES = (0.0, 120.0)


@dataclass(frozen=True)
class Request:
    """What to fit, from which table, on whom. ``controls`` empty: all rows are controls.

    ``tiv_column`` None leaves head size out; ``volumes`` empty stands for all that there are.
    """

    table: Path
    controls: tuple[str, ...] = ()
    group_column: str = "group"
    age_column: str = "age"
    tiv_column: str | None = TIV
    sex_column: str | None = None
    volumes: tuple[str, ...] = ()
    force: bool = False


def fit_norms(request: Request) -> dict[str, Any]:
    """Fit every volume that is asked for; return the content of the file.

    Raises UsageError, one sentence, for a table that cannot be used, and where nothing can be fit.
    """
    try:
        names, rows = read_tsv(request.table)
    except TableError as error:
        raise UsageError(str(error)) from error
    volumes = _check_columns(request, names)
    described = read_json(request.table.with_suffix(".json"))
    for column in (request.age_column, f"{request.age_column}_participants"):
        check_years(described, column, request.table)
    controls = first_rows(_select(request, rows))
    fitted, refusals = {}, []
    for volume in volumes:
        try:
            fitted[volume] = _fit_volume(request, volume, controls)
        except ValueError as error:
            refusals.append(f"{volume}: {error}")
    if refusals and (request.volumes or not fitted):
        raise UsageError(f"No norms from {request.table}: {'; '.join(refusals)}.")
    for refusal in refusals:
        LOGGER.warning("left out: %s", refusal)
    return {
        "Kind": KIND,
        "Format": FORMAT,
        "FittedByVersion": __version__,
        "MeasuredByVersion": _measured_by(request.table.parent),
        "Table": request.table.name,
        "TableSHA256": hashlib.sha256(request.table.read_bytes()).hexdigest(),
        "Controls": {request.group_column: list(request.controls)} if request.controls else "all",
        "Columns": {
            "age": request.age_column, "tiv": request.tiv_column, "sex": request.sex_column,
        },
        "Model": "Opfer et al. 2022, Single subject analysis: quadratic in TIV and age with "
        "interaction, outliers of 1.5 IQR left out of the second fit"
        + ("" if request.tiv_column else "; WITHOUT head size, as asked")
        + ("; with a term for men" if request.sex_column else ""),
        "RowsUsed": "the first of each participant in the table",
        "Volumes": fitted,
    }  # fmt: skip


def _check_columns(request: Request, names: Sequence[str]) -> list[str]:
    """Return the volumes to fit; raises UsageError for a column that is not there."""
    table = request.table
    if request.tiv_column and request.tiv_column not in names:
        raise UsageError(
            f"{table} has no column {request.tiv_column}, the intracranial volume of the T1w; "
            "without head size the norms are much wider, so they are fit without it only with "
            "--without-tiv."
        )
    needed = ["participant_id", request.age_column]
    needed += [request.group_column] if request.controls else []
    needed += [request.sex_column] if request.sex_column else []
    lacking = [name for name in (*needed, *request.volumes) if name not in names]
    if lacking:
        raise UsageError(f"{table} has no column {', '.join(lacking)}.")
    volumes = list(request.volumes) or [name for name in VOLUMES if name in names]
    if not volumes:
        raise UsageError(f"{table} has no volume of the thalamus ({', '.join(VOLUMES)}).")
    flair = [name for name in volumes if contrast_of(name) == "flair"]
    if flair and SLICE_THICKNESS not in names:
        raise UsageError(
            f"{table} has no column {SLICE_THICKNESS}, and volumes on FLAIR depend on it; add it, "
            "or name the volumes to fit with --volume-columns."
        )
    return volumes


def _select(request: Request, rows: Sequence[Row]) -> list[tuple[int, Row]]:
    """Return the controls' rows, each with its line in the table."""
    numbered = list(enumerate(rows, start=2))
    if not request.controls:
        return numbered
    wanted = set(request.controls)
    chosen = [(line, row) for line, row in numbered if row[request.group_column] in wanted]
    if absent := wanted - {row[request.group_column] for _, row in chosen}:
        there = sorted({row[request.group_column] for row in rows} - {MISSING})
        raise UsageError(
            f"Nobody in {request.table} has {', '.join(sorted(absent))} in the column "
            f"{request.group_column}; it holds {', '.join(there) or 'nothing'}."
        )
    return chosen


def first_rows(rows: Iterable[tuple[int, Row]]) -> list[tuple[int, Row]]:
    """Keep the first row of each participant: several sessions would count a person twice."""
    first: dict[str, tuple[int, Row]] = {}
    for line, row in rows:
        first.setdefault(row["participant_id"].removeprefix("sub-"), (line, row))
    return list(first.values())


def _fit_volume(request: Request, volume: str, controls: Sequence[tuple[int, Row]]) -> dict:
    columns = {name: [] for name in ("volume", "age_years", "tiv_ml", "male", "thickness")}
    used = []
    for line, row in controls:
        values = _read_row(request, volume, line, row)
        if all(value is not None for value in values.values()):
            used.append(row)
            for name, value in values.items():
                columns[name].append(value)
    arrays = {name: np.array(values) for name, values in columns.items() if values}
    predictors = {n: arrays[n] for n in ("age_years", "tiv_ml", "male") if n in arrays}
    limits = {"slice_thickness_mm": arrays["thickness"]} if "thickness" in arrays else None
    if not used:
        raise ValueError("no control has it with age and all else that is needed")
    norm, kept = fit_norm(arrays["volume"], predictors, limits, force=request.force)
    LOGGER.info(
        "%s: %d controls of %d, %d left out as outliers, %d for lack of a value; SD %.3f mL; %s",
        volume, norm.controls, len(controls), norm.outliers, len(controls) - len(used),
        norm.residual_sd_ml,
        ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in norm.ranges.items()),
    )  # fmt: skip
    residual = (arrays["volume"] - norm.expected_ml(predictors))[kept]
    return _entry(norm, volume, predictors["age_years"][kept], residual) | {
        "Incomplete": len(controls) - len(used),
        "Definition": definition(volume, request.tiv_column is not None),
        "Networks": _networks(request, volume, used),
    }


def _entry(norm: Norm, volume: str, age_years: np.ndarray, residual_ml: np.ndarray) -> dict:
    """What the file holds of one fit; the cloud is rounded, and sorted by age, not by person."""
    points = sorted(zip(age_years.round().tolist(), residual_ml.round(2).tolist(), strict=True))
    return {
        "Controls": norm.controls,
        "Outliers": norm.outliers,
        "Coefficients_ml": dict(norm.coefficients),
        "ResidualSD_ml": norm.residual_sd_ml,
        "Interval95_ml": [-AGREEMENT_SD * norm.residual_sd_ml, AGREEMENT_SD * norm.residual_sd_ml],
        "Ranges": {name: list(pair) for name, pair in norm.ranges.items()},
        "Cloud": {
            "age_years": [age for age, _ in points], "residual_ml": [res for _, res in points],
        },
    }  # fmt: skip


def _read_row(request: Request, volume: str, line: int, row: Row) -> dict[str, float | None]:
    """Return what the fit needs of a control, None for what is missing.

    Raises UsageError for what is no number or cannot be one of this unit.
    """
    low, high = PLAUSIBLE_ML  # of both sides; one may be much the smaller
    bounds = (low / 4, high) if volume.endswith(("_left_ml", "_right_ml")) else (low, high)

    def read(column: str, limits: tuple[float, float]) -> float | None:
        return _number(request.table, line, column, row.get(column, MISSING), limits)

    # A session's age where sessions.tsv has one; the group level keeps the other beside it.
    age = read(request.age_column, _AGES)
    if age is None:
        age = read(f"{request.age_column}_participants", _AGES)
    values = {"volume": read(volume, bounds), "age_years": age}
    if request.tiv_column:
        values["tiv_ml"] = read(request.tiv_column, PLAUSIBLE_TIV_ML)
    if request.sex_column:
        male = is_male(row[request.sex_column])
        values["male"] = None if male is None else float(male)
    if contrast_of(volume) == "flair":
        values["thickness"] = read(SLICE_THICKNESS, (0.1, 20.0))
    return values


def _number(
    table: Path, line: int, column: str, text: str, limits: tuple[float, float]
) -> float | None:
    if text == MISSING or re.fullmatch(r"\d+\+", text):  # 89+ hides the age of the oldest
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not limits[0] <= value <= limits[1]:
        raise UsageError(
            f"Line {line} of {table} has {text} in {column}, not a number from {limits[0]:g} to "
            f"{limits[1]:g}; check its unit."
        )
    return value


def _measured_by(folder: Path) -> str | None:
    """The version of MSMorph whose derivatives lie in a folder, None where it does not say."""
    generators = read_json(folder / "dataset_description.json").get("GeneratedBy") or []
    versions = [
        g.get("Version") for g in generators if isinstance(g, dict) and g.get("Name") == "MSMorph"
    ]
    return versions[0] if versions and isinstance(versions[0], str) else None


def _networks(request: Request, volume: str, rows: Sequence[Row]) -> dict[str, str] | None:
    """SHA-256 of the weights that measured the controls, by network; None where unknown.

    They are in the sidecars beside the table; raises UsageError where they differ.
    """
    found: dict[str, set[str | None]] = {}
    for row in rows:
        models = _models_beside(request.table.parent, row)
        for name in networks_of(volume, request.tiv_column is not None):
            found.setdefault(name, set()).add(models.get(name))
    for name, hashes in found.items():
        if len(hashes - {None}) > 1:
            raise UsageError(
                f"The controls in {request.table} were measured by different weights of the "
                f"network {name}; measure them again with one."
            )
    if any(None in hashes for hashes in found.values()):
        return None
    return {name: hashes.pop() for name, hashes in found.items()}


def _models_beside(folder: Path, row: Row) -> Mapping[str, str]:
    session = row.get("session_id", MISSING)
    subject = "sub-" + row["participant_id"].removeprefix("sub-")
    place = folder / subject / ("" if session == MISSING else session) / "anat"
    models = {}
    for path in place.glob("*_dseg.json"):
        for model in read_json(path).get("Models") or []:
            models[model.get("Name")] = model.get("SHA256")
    return models
