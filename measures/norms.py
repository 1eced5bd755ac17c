"""One person's volume against that of controls of the same age and head size.

Opfer et al. 2022, "Single subject analysis": in the controls the volume is modelled as

    a * TIV^2 + b * age^2 + c * TIV * age + d * TIV + e * age + f

by least squares, twice: those whose residual lies more than 1.5 interquartile ranges below the
lower or above the upper quartile are left out of the second, final fit. The normal interval of the
residual is +-1.96 SD. A person's volume is reduced when the residual with its own 95 % interval,
+-1.96 SD of the error between scanners, lies entirely below the normal one.

Left open there, and chosen here: the SD's divisor is the number of controls less that of
coefficients, which matters for few controls alone. Added: a term for men, on request, a fit
without TIV, and no answer outside of what the controls cover.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from measures.repeatability import AGREEMENT_SD

MINIMUM_CONTROLS = 30
OUTLIER_IQR = 1.5
#: Term -> the predictors whose product it is. The unit of its coefficient is mL over theirs.
TERMS: dict[str, tuple[str, ...]] = {
    "tiv_ml^2": ("tiv_ml", "tiv_ml"),
    "age_years^2": ("age_years", "age_years"),
    "tiv_ml*age_years": ("tiv_ml", "age_years"),
    "tiv_ml": ("tiv_ml",),
    "age_years": ("age_years",),
    "male": ("male",),
    "constant": (),
}
#: What a model may depend on or be limited to: words, unit, and how far outside of the controls'
#: range still counts as inside. A voxel size is that of a header, with its rounding.
COVARIATES = {
    "age_years": ("age", "years", 0.0),
    "tiv_ml": ("intracranial volume", "mL", 0.0),
    "slice_thickness_mm": ("slice thickness", "mm", 0.1),
    "male": ("sex (M or F)", "", 0.0),
}
#: Degrees of freedom without which a standard deviation means nothing, even by force.
_LEAST_FREEDOM = 4
#: Tables hold volumes to 0.0001 mL; a smaller scatter is no scatter between people.
_LEAST_SD_ML = 1e-3


@dataclass(frozen=True)
class Norm:
    """A fitted model of one volume.

    ``coefficients`` map terms of ``TERMS`` to mL per unit; ``controls`` took part in the final
    fit and ``outliers`` were left out of it; ``ranges`` are (lowest, highest) of the controls in
    the final fit, by covariate.
    """

    coefficients: Mapping[str, float]
    residual_sd_ml: float
    controls: int
    outliers: int
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def interval_ml(self) -> tuple[float, float]:
        """The residuals, in mL, between which 95 % of healthy people are expected."""
        return -AGREEMENT_SD * self.residual_sd_ml, AGREEMENT_SD * self.residual_sd_ml

    @property
    def predictors(self) -> set[str]:
        """What of a person the model needs."""
        return {name for term in self.coefficients for name in TERMS[term]}

    def expected_ml(self, predictors: Mapping[str, np.ndarray | float]) -> np.ndarray:
        """Volume in mL expected for (N,) people, or one, by predictor."""
        columns = _terms(list(self.coefficients), predictors)
        return columns @ np.array(list(self.coefficients.values()))


@dataclass(frozen=True)
class Rating:
    """One person's volume against a norm; all None where there is a ``reason`` not to answer.

    ``below`` is None too where the error between scanners is not known.
    """

    residual_ml: float | None = None
    z: float | None = None
    below: bool | None = None
    reason: str = ""


def fit_norm(
    volume_ml: np.ndarray,
    predictors: Mapping[str, np.ndarray],
    limits: Mapping[str, np.ndarray] | None = None,
    *,
    force: bool = False,
) -> tuple[Norm, np.ndarray]:
    """Fit the model to the controls; return it and who took part in the final fit, bool (N,).

    ``volume_ml`` is (N,). ``predictors`` map ``age_years`` and, where wanted, ``tiv_ml`` and
    ``male`` (1 for men, 0 for women) to (N,): all terms of them enter. ``limits`` are further
    covariates (N,) whose range the norm is limited to. Raises ValueError, one sentence, for fewer
    than 30 controls unless ``force``, for far too few all the same, and for controls from whom the
    terms cannot be told apart.
    """
    volume_ml = np.asarray(volume_ml, float)
    terms = [name for name, factors in TERMS.items() if set(factors) <= set(predictors)]
    least = len(terms) + _LEAST_FREEDOM if force else MINIMUM_CONTROLS
    if len(volume_ml) < least:
        hint = "" if force else ", unless forced"
        raise ValueError(f"{len(volume_ml)} controls are too few: at least {least} it takes{hint}")
    columns = _terms(terms, predictors)
    first = volume_ml - columns @ _least_squares(columns, volume_ml)
    kept = ~find_outliers(first)
    coefficients = _least_squares(columns[kept], volume_ml[kept])
    residuals = volume_ml[kept] - columns[kept] @ coefficients
    freedom = max(len(residuals) - len(terms), 1)
    sd = float(np.sqrt((residuals**2).sum() / freedom))
    if sd < _LEAST_SD_ML:
        raise ValueError("the volumes do not scatter about the model as those of people do")
    covered = {**predictors, **(limits or {})}
    ranges = {
        name: (float(np.min(values[kept])), float(np.max(values[kept])))
        for name, values in covered.items()
        if name != "male"
    }
    named = dict(zip(terms, coefficients.tolist(), strict=True))
    return Norm(named, sd, int(kept.sum()), int((~kept).sum()), ranges), kept


def find_outliers(residuals: np.ndarray) -> np.ndarray:
    """Tell which of (N,) residuals lie 1.5 interquartile ranges outside of the quartiles."""
    lower, upper = np.percentile(residuals, [25, 75])
    reach = OUTLIER_IQR * (upper - lower)
    return (residuals < lower - reach) | (residuals > upper + reach)


def is_reduced(
    residual_ml: np.ndarray | float, residual_sd_ml: float, inter_scanner_sd_ml: float
) -> np.ndarray:
    """Whether a residual with its 95 % interval lies below the normal 95 % interval."""
    return np.asarray(residual_ml) + AGREEMENT_SD * inter_scanner_sd_ml < (
        -AGREEMENT_SD * residual_sd_ml
    )


def rate(
    norm: Norm,
    volume_ml: float,
    person: Mapping[str, float | None],
    inter_scanner_sd_ml: float | None,
) -> Rating:
    """Compare a person's volume with the norm.

    ``person`` maps covariates to their values, None where unknown. There is a reason instead of
    an answer where one that the norm needs is unknown or outside of what the controls cover.
    """
    if reason := _why_not(norm, person):
        return Rating(reason=reason)
    expected = norm.expected_ml({name: person[name] for name in norm.predictors})
    residual = float(volume_ml - expected)
    below = None
    if inter_scanner_sd_ml is not None:
        below = bool(is_reduced(residual, norm.residual_sd_ml, inter_scanner_sd_ml))
    return Rating(residual, residual / norm.residual_sd_ml, below)


def _why_not(norm: Norm, person: Mapping[str, float | None]) -> str:
    for name, (words, unit, slack) in COVARIATES.items():
        if name not in norm.predictors and name not in norm.ranges:
            continue
        value = person.get(name)
        if value is None or not np.isfinite(value):
            return f"the {words} is not known"
        low, high = norm.ranges.get(name, (-np.inf, np.inf))
        if not low - slack <= value <= high + slack:
            return (
                f"the {words} of {value:g} {unit} is outside the {low:g} to {high:g} {unit} of the "
                "controls"
            )
    return ""


def _terms(terms: list[str], predictors: Mapping[str, np.ndarray | float]) -> np.ndarray:
    """Return the columns (N, terms) of the model, or (terms,) for one person."""
    size = np.broadcast_shapes(*(np.shape(values) for values in predictors.values()))
    columns = []
    for term in terms:
        column = np.ones(size)
        for factor in TERMS[term]:
            column = column * predictors[factor]
        columns.append(column)
    return np.stack(columns, axis=-1)


def _least_squares(columns: np.ndarray, volume_ml: np.ndarray) -> np.ndarray:
    """Coefficients (terms,); columns scaled to one size, since TIV^2 is a million times age."""
    scale = np.abs(columns).max(axis=0)
    scale[scale == 0] = 1
    found, _, rank, _ = np.linalg.lstsq(columns / scale, volume_ml, rcond=1e-9)
    if rank < columns.shape[1]:
        raise ValueError(
            "age, head size or sex vary too little among the controls for the model's terms to be "
            "told apart"
        )
    return found / scale
