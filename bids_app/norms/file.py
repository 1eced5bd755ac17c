"""The file of norms: what it holds, how it is read, and when it must not be used."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_app import __version__, dictionary
from bids_app.errors import UsageError
from bids_app.norms import TIV, VOLUMES, networks_of

LOGGER = logging.getLogger("msmorph.norms")
KIND, FORMAT = "MSMorph norms", 1


@dataclass(frozen=True)
class NormsFile:
    """A file of norms, read and checked: its path, its content, and its fingerprint.

    ``models`` map volumes to ``measures.norms.Norm``, ``clouds`` to the controls' ages in years and
    residuals in mL, both (N,).
    """

    path: Path
    content: Mapping[str, Any]
    fingerprint: str
    models: Mapping[str, Any]
    clouds: Mapping[str, tuple[list[float], list[float]]]

    @property
    def label(self) -> str:
        """Name and fingerprint, which tell these norms from others in a table."""
        return f"{self.path.name} {self.fingerprint}"


def definition(volume: str, with_tiv: bool) -> dict[str, str]:
    """How this version measures a volume, and the head size with it, by column."""
    columns = [volume, TIV] if with_tiv else [volume]
    entries = {name: dictionary.describe(name) for name in columns}
    return {name: f"{e['Description']} ({e['Source']})" for name, e in entries.items()}


def read_norms(path: str | Path) -> NormsFile:
    """Read a file of ``msmorph-norms fit``.

    Raises UsageError, one sentence, where it cannot be read, is no such file or a damaged one, or
    holds volumes that this version measures otherwise.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
        content = json.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"Cannot read the norms {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"The norms {path} are not valid JSON: {error}.") from None
    if not isinstance(content, dict) or content.get("Kind") != KIND:
        raise UsageError(f"{path} holds no norms; make them with msmorph-norms fit.")
    if content.get("Format") != FORMAT:
        raise UsageError(
            f"The norms {path} have the format {content.get('Format')!r}, which this version does "
            "not know; fit them again with its msmorph-norms."
        )
    try:
        volumes = content["Volumes"]
        if not volumes or set(volumes) - set(VOLUMES):
            raise ValueError(f"Volumes names {', '.join(map(str, volumes)) or 'nothing'}")
        models = {name: _model(entry) for name, entry in volumes.items()}
        clouds = {name: _cloud(entry["Cloud"]) for name, entry in volumes.items()}
        _check_strings(volumes)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"lack {error}" if isinstance(error, KeyError) else f"are damaged: {error}"
        raise UsageError(f"The norms {path} {what}; fit them again with msmorph-norms.") from None
    for name, model in models.items():
        _check_definition(path, name, volumes[name]["Definition"], TIV in model.predictors)
    return NormsFile(path, content, hashlib.sha256(raw).hexdigest()[:8], models, clouds)


def _model(entry: Mapping[str, Any]):
    from measures.norms import COVARIATES, TERMS, Norm

    coefficients = {name: _number(value) for name, value in entry["Coefficients_ml"].items()}
    ranges = {name: tuple(_number(v) for v in pair) for name, pair in entry["Ranges"].items()}
    model = Norm(
        coefficients, _number(entry["ResidualSD_ml"]), int(entry["Controls"]),
        int(entry["Outliers"]), ranges,
    )  # fmt: skip
    if not {"age_years", "constant"} <= set(coefficients) <= set(TERMS):
        raise ValueError(f"Coefficients_ml has the terms {', '.join(coefficients)}")
    if not model.predictors - {"male"} <= set(ranges) <= set(COVARIATES):
        raise ValueError(f"Ranges is of {', '.join(ranges) or 'nothing'}")
    if any(len(pair) != 2 or pair[0] > pair[1] for pair in ranges.values()):
        raise ValueError("a range is no lowest and highest value")
    if not (model.residual_sd_ml > 0 and model.controls > 0):
        raise ValueError("ResidualSD_ml and Controls must be above 0")
    return model


def _cloud(entry: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    ages, residuals = ([_number(v) for v in entry[key]] for key in ("age_years", "residual_ml"))
    if len(ages) != len(residuals):
        raise ValueError("the ages and the residuals of its cloud are not as many")
    return ages, residuals


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _check_strings(volumes: Mapping[str, Any]) -> None:
    """Check the parts that are mappings of text, of which Networks may be null."""
    for entry in volumes.values():
        for part in (entry["Definition"], entry["Networks"] or {}):
            if not all(isinstance(text, str) for pair in part.items() for text in pair):
                raise ValueError("Definition and Networks hold texts")


def _check_definition(path: Path, volume: str, found: Mapping[str, str], with_tiv: bool) -> None:
    current = definition(volume, with_tiv)
    for name in current:
        if found.get(name) != current[name]:
            raise UsageError(
                f"The norms {path} are of a {name} that this version (MSMorph {__version__}) "
                "measures otherwise; measure the controls with this version and fit again."
            )


def check_networks(norms: NormsFile, cards: Iterable[Mapping[str, Any]]) -> None:
    """Raise UsageError where the controls were measured by other weights than ``cards`` name.

    Where the file does not say by which, or names another version of MSMorph, a warning is logged.
    """
    hashes = {card["name"]: card["sha256"] for card in cards}
    unknown = []
    for volume, model in norms.models.items():
        known = norms.content["Volumes"][volume]["Networks"]
        if known is None:
            unknown.append(volume)
            continue
        for name in networks_of(volume, TIV in model.predictors):
            if name in hashes and known.get(name) != hashes[name]:
                raise UsageError(
                    f"The controls of the norms {norms.path} were measured by other weights of the "
                    f"network {name} than this run uses; measure them with these and fit again."
                )
    if unknown:
        LOGGER.warning(
            "The norms %s do not say which networks measured the controls' %s: make sure that they "
            "are those of this run.", norms.path, ", ".join(unknown),
        )  # fmt: skip
    version = norms.content.get("MeasuredByVersion")
    if version != __version__:
        LOGGER.warning(
            "The controls of the norms %s were measured by MSMorph %s, and this is %s: make sure "
            "that the volumes are the same.",
            norms.path, version or "of an unknown version", __version__,
        )  # fmt: skip
