"""What a cross-validation found: the paper's Table 2, its Fig. 4, and every test case."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np

from measures.classification import Counts, roc_curve
from training.enhancement_crossval import KINDS, Run

TITLES = {"slice": "Slice-wise prediction", "participant": "Participant-wise prediction"}
MEASURES = ("sensitivity", "specificity", "accuracy", "positive_predictive_value",
            "negative_predictive_value")  # fmt: skip


def mean_spread(values) -> tuple[float, float, tuple[float, float]]:
    """Mean, SD and 95 % confidence interval of the mean over folds.

    The SD divides by the number of folds and the interval is 1.96 SD / sqrt(folds): so the paper's
    9.0 and (64, 80) of participant-wise sensitivity come from the counts of its Table 2.
    """
    values = np.asarray(values, float)
    mean, spread = values.mean(), values.std()
    half = 1.96 * spread / np.sqrt(len(values))
    return float(mean), float(spread), (float(mean - half), float(mean + half))


def table_2(runs: list[dict[str, Counts]]) -> str:
    """Sensitivity and specificity of every run and their average, as in the paper's Table 2.

    ``runs`` holds the counts of each fold by kind (``slice``, ``participant``).
    """
    lines = [f"{'Prediction Type':<30}{'Sensitivity (%)':<22}Specificity (%)"]
    for kind in KINDS:
        found = [run[kind] for run in runs]
        lines.append(TITLES[kind])
        for number, one in enumerate(found, 1):
            cells = (
                f"{100 * one.sensitivity:.0f} ({one.true_positive}/{one.positive})",
                f"{100 * one.specificity:.0f} ({one.true_negative}/{one.negative})",
            )
            lines.append(f"  Run {number:<24}{cells[0]:<22}{cells[1]}")
        cells = [_average([getattr(one, m) for one in found]) for m in MEASURES[:2]]
        lines.append(f"  {'Average*':<28}{cells[0]:<22}{cells[1]}")
    lines.append("* Mean ± SD (95% confidence interval) over the runs.")
    return "\n".join(lines)


def _average(shares) -> str:
    mean, spread, interval = mean_spread(100 * np.asarray(shares))
    low, high = np.clip(interval, 0, 100)  # of few cases it would reach beyond
    return f"{mean:.0f} ± {spread:.1f} ({low:.0f}, {high:.0f})"


def summary(runs: list[Run]) -> dict[str, dict[str, list[float]]]:
    """Mean and SD over the folds of every measure and the AUC, by kind; for the model card."""
    found = {}
    for kind in KINDS:
        predictions = [run.predictions[kind] for run in runs]
        values = {"auc": [p.auc for p in predictions]}
        values |= {m: [getattr(p.counts, m) for p in predictions] for m in MEASURES}
        found[kind] = {
            name: [round(v, 4) for v in mean_spread(numbers)[:2]]
            for name, numbers in values.items()
        }
    return found


def auc_lines(runs: list[Run]) -> str:
    """The area under the curve of both kinds, mean and SD over the runs."""
    return "\n".join(
        "AUC, {}: {:.2f} ± {:.2f}".format(
            TITLES[kind].lower(), *mean_spread([run.predictions[kind].auc for run in runs])[:2]
        )
        for kind in KINDS
    )


def mean_roc(curves) -> tuple[np.ndarray, np.ndarray]:
    """Average of ROC curves: mean true-positive rate at 101 false-positive rates.

    ``curves`` are (false-positive rates, true-positive rates), rising.
    """
    grid = np.linspace(0, 1, 101)
    rates = []
    for false, true in curves:
        at, first = np.unique(false[::-1], return_index=True)  # the highest of a vertical step
        rates.append(np.interp(grid, at, true[::-1][first]))
    mean = np.mean(rates, axis=0)
    mean[0] = 0.0
    return grid, mean


def plot_roc(runs: list[Run], path: Path, note: str = "") -> None:
    """The paper's Fig. 4: thin lines for the runs, a solid one for their mean, dashed for chance.

    Panel A is slice-wise, B participant-wise. ``note`` is a line below: what the cohort is.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9, 4.6))
    for letter, kind, panel in zip("AB", KINDS, panels, strict=True):
        predictions = [run.predictions[kind] for run in runs]
        curves = [roc_curve(p.scores, p.labels)[:2] for p in predictions]
        for number, (false, true) in enumerate(curves, 1):
            area = predictions[number - 1].auc
            panel.plot(false, true, linewidth=0.8, label=f"run {number}: {area:.2f}")
        mean, spread, _ = mean_spread([p.auc for p in predictions])
        label = f"mean: {mean:.2f} ± {spread:.2f}"
        panel.plot(*mean_roc(curves), color="blue", linewidth=2, label=label)
        panel.plot((0, 1), (0, 1), "--", color="red", linewidth=1, label="chance")
        panel.set(
            title=f"{letter}  {TITLES[kind]}", xlabel="False-positive rate",
            ylabel="True-positive rate", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal",
        )  # fmt: skip
        panel.legend(title="AUC", fontsize=8, loc="lower right")
    figure.text(0.5, 0.01, note, ha="center", fontsize=8)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    aside = path.with_name(f"{path.stem}_partial{path.suffix}")
    figure.savefig(aside, dpi=120)
    plt.close(figure)
    os.replace(aside, path)


def write_scores(runs: list[Run], path: Path) -> None:
    """Every test slice and participant, a row each: fold, score, label, operating point."""
    names = ("run", "participant_id", "session_id", "kind", "slice", "score", "enhancing",
             "threshold")  # fmt: skip
    aside = path.with_suffix(".partial")
    with aside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(names)
        for number, run in enumerate(runs, 1):
            writer.writerows([number, *row] for row in _rows(run))
    os.replace(aside, path)


def _rows(run: Run):
    whole = run.predictions["participant"]
    cut = run.predictions["slice"].threshold
    for place, scan in enumerate(run.scans):
        own = [f"sub-{scan.subject}", f"ses-{scan.session}" if scan.session else "n/a"]
        for number, score in enumerate(run.slice_scores[place]):
            label = str(bool(scan.labels[number])).lower()
            yield [*own, "slice", number, f"{score:.4f}", label, f"{cut:.4f}"]
        label = str(bool(scan.enhancing)).lower()
        score = f"{whole.scores[place]:.4f}"
        yield [*own, "participant", "n/a", score, label, f"{whole.threshold:.4f}"]
