"""What ``--norms`` adds to a session: columns of its row, and a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bids_app.config import Config
from bids_app.errors import UsageError
from bids_app.norms import INTER_SCANNER_SD_ML, SLICE_THICKNESS, TIV, VOLUMES, contrast_of
from bids_app.norms.demographics import Person, read_person
from bids_app.norms.file import NormsFile, check_networks, read_norms
from bids_app.query import SessionInputs
from measures.norms import Rating, rate


def check_run(config: Config, cards: Iterable[Mapping[str, Any]]) -> None:
    """Raise UsageError where the norms' controls were measured by other networks than this run's.

    ``cards`` are the model cards of the run's networks. Without ``--norms`` all is well.
    """
    if config.norms is not None:
        check_networks(read_norms(config.norms), cards)


def norm_columns(config: Config, session: SessionInputs, row: Mapping[str, Any]) -> dict[str, Any]:
    """Compare a session's volumes (columns of ``row``) with the norms; {} without ``--norms``.

    Writes the picture of the volumes that could be compared.
    """
    if config.norms is None:
        return {}
    norms = read_norms(config.norms)
    columns: dict[str, Any] = {"qc_norms_file": norms.label}
    try:
        person = read_person(config.bids_dir, session)
    except UsageError as error:
        return columns | {"qc_norms_flag": str(error).rstrip(".")}
    scanner_sd = inter_scanner_sd(config)
    ratings = rate_volumes(norms, row, person, scanner_sd)
    for volume, rating in ratings.items():
        start = VOLUMES[volume]
        columns[f"{start}_residual_ml"] = rating.residual_ml
        columns[f"{start}_z"] = rating.z
        columns[f"{start}_below"] = {True: "yes", False: "no", None: None}[rating.below]
    columns["qc_norms_flag"] = flag(ratings)
    rated = {volume: rating for volume, rating in ratings.items() if not rating.reason}
    if rated:
        from bids_app.norms.plot import plot_norms

        plot_norms(norms, rated, person.age_years, scanner_sd, figure_path(config, session))
    return columns


def rate_volumes(
    norms: NormsFile, row: Mapping[str, Any], person: Person, scanner_sd: Mapping[str, float]
) -> dict[str, Rating]:
    """Rate each volume that the row and the norms both have."""
    male = None if person.male is None else float(person.male)
    ratings = {}
    for volume, norm in norms.models.items():
        if row.get(volume) is None:
            continue
        covariates = {"age_years": person.age_years, "tiv_ml": row.get(TIV), "male": male}
        if contrast_of(volume) == "flair":
            covariates["slice_thickness_mm"] = row.get(SLICE_THICKNESS)
        ratings[volume] = rate(norm, row[volume], covariates, scanner_sd.get(volume))
    return ratings


def flag(ratings: Mapping[str, Rating]) -> str:
    """``ok``, or why volumes were not compared, each reason with the volumes it is of."""
    if not ratings:
        return "no volume that the norms are of was measured"
    reasons: dict[str, list[str]] = {}
    for volume, rating in ratings.items():
        if rating.reason:
            reasons.setdefault(rating.reason, []).append(volume)
    if not reasons:
        return "ok"
    return "; ".join(f"{', '.join(volumes)}: {reason}" for reason, volumes in reasons.items())


def inter_scanner_sd(config: Config) -> dict[str, float]:
    """SD in mL of the error between scanners by volume: measured by us, or the user's own."""
    return INTER_SCANNER_SD_ML | config.inter_scanner_sd


def figure_path(config: Config, session: SessionInputs) -> Path:
    """``OUT/sub-X/figures/sub-X[_ses-Y]_desc-norms_morph.svg``."""
    folder = config.output_dir / f"sub-{session.subject}" / "figures"
    return folder / f"{session.prefix}_desc-norms_morph.svg"
