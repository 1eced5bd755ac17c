"""Cross-validation of the enhancement networks (Narayana 2020, "Statistical Analysis")."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from measures.classification import Counts, auc, counts, youden_threshold
from networks.enhancement import participant_probability
from training.enhancement_fit import Recipe, fit, scan_scores
from training.enhancement_scans import FOLDS, Scan, Split, chosen, cross_validation

LOGGER = logging.getLogger("msmorph.train")
#: What is predicted, as Table 2 has it.
KINDS = ("slice", "participant")


@dataclass(frozen=True)
class Prediction:
    """Scores and labels (N,) of test cases, and the operating point found on validation."""

    scores: np.ndarray
    labels: np.ndarray
    threshold: float

    @property
    def auc(self) -> float:
        """Area under the ROC curve."""
        return auc(self.scores, self.labels)

    @property
    def counts(self) -> Counts:
        """Right and wrong cases at the operating point."""
        return counts(self.scores, self.labels, self.threshold)


@dataclass(frozen=True)
class Run:
    """One fold: the test scans, their slice scores, and predictions by kind."""

    scans: list[Scan]
    slice_scores: list[np.ndarray]
    predictions: dict[str, Prediction]


def cross_validate(scans: list[Scan], recipe: Recipe, seed: int, folds: int = FOLDS) -> list[Run]:
    """Train and test as many times as there are folds, each on subjects never seen before."""
    splits = cross_validation(scans, np.random.default_rng(seed), folds)
    return [train_and_test(scans, s, recipe, seed + n)[0] for n, s in enumerate(splits, 1)]


def train_and_test(scans: list[Scan], split: Split, recipe: Recipe, seed: int):
    """The Run of one split, its network, and its operating points by kind."""
    training, validation, test = (
        chosen(scans, part) for part in (split.training, split.validation, split.test)
    )
    LOGGER.info("%d scans train, %d validate, %d test", len(training), len(validation), len(test))
    network = fit(training, validation, recipe, seed)
    thresholds = operating_points(network, validation, recipe)
    slices = scan_scores(network, test, recipe.device)
    found = _predictions(network, test, slices, recipe)
    run = Run(test, slices, {k: Prediction(*found[k], thresholds[k]) for k in KINDS})
    LOGGER.info("AUC %s", ", ".join(f"{k} {run.predictions[k].auc:.3f}" for k in KINDS))
    return run, network, thresholds


def operating_points(network, validation: list[Scan], recipe: Recipe) -> dict[str, float]:
    """Thresholds of slice and participant that maximise Youden's index on the validation scans."""
    slices = scan_scores(network, validation, recipe.device)
    found = _predictions(network, validation, slices, recipe)
    return {kind: youden_threshold(*found[kind]) for kind in KINDS}


def _predictions(network, scans, slices, recipe: Recipe) -> dict[str, tuple]:
    """Scores and labels of all slices, and of all participants, of some scans."""
    card = {"architecture": recipe.architecture}
    whole = [participant_probability(s, network, card, recipe.device) for s in slices]
    return {
        "slice": (np.concatenate(slices), np.concatenate([scan.labels for scan in scans])),
        "participant": (np.array(whole), np.array([scan.enhancing for scan in scans])),
    }
