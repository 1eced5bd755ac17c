"""How many patients the norms find, by the error between scanners: Opfer 2022, Table 4, simulated.

    python benchmarks/norms_power.py [--studies 500] [--atrophy-ml 1.4]

The paper has 4872 controls on 160 scanners and 127 MS patients on two, and three methods, of which
it gives the SD of the controls' residuals and that of one person's volume between scanners (Tables
3 and 4). Reduced were 23.8, 15.9 and 11 % of the patients. Here each study draws the same people,
scanners and atrophies for all three methods, and goes through ``measures.norms``: fit with
outliers, residual, decision.

The residuals' SD holds the scanners' error, since the controls were on many: people vary by
sqrt(SD^2 - SD_inter^2). The paper does not say how much the patients' thalami had shrunk. Here the
atrophy is exponential, with a mean that makes the first method's share the paper's; the other two
shares then follow from the SDs alone. Healthy people from scanners of their own tell the false
alarms.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from measures.norms import fit_norm, is_reduced

#: Method -> SD in mL of the controls' residuals, and of one person between scanners.
METHODS = {"3D-CNN": (0.88, 0.28), "FastSurfer": (1.09, 0.62), "FSL": (1.15, 0.63)}
PAPER_PERCENT = {"3D-CNN": 23.8, "FastSurfer": 15.9, "FSL": 11}
CONTROLS, CONTROL_SCANNERS = 4872, 160
PATIENTS_BY_SCANNER = (33, 94)
ATROPHY_ML = 1.4
#: Volume in mL without scatter; any quadratic will do, since the fit takes it out.
CONSTANT, TIV, AGE, AGE2 = 3.5, 0.0085, 0.02, -6e-4


@dataclass(frozen=True)
class Group:
    """People of one study: covariates, and draws of unit SD that every method scales, all (N,)."""

    age_years: np.ndarray
    tiv_ml: np.ndarray
    person: np.ndarray
    scanner: np.ndarray
    atrophy_ml: np.ndarray

    @property
    def predictors(self) -> dict[str, np.ndarray]:
        return {"age_years": self.age_years, "tiv_ml": self.tiv_ml}

    def volume_ml(self, residual_sd_ml: float, inter_scanner_sd_ml: float) -> np.ndarray:
        """Volumes (N,) as a method with these SDs measures them."""
        between_people = np.sqrt(residual_sd_ml**2 - inter_scanner_sd_ml**2)
        expected = CONSTANT + TIV * self.tiv_ml + AGE * self.age_years + AGE2 * self.age_years**2
        scatter = between_people * self.person + inter_scanner_sd_ml * self.scanner
        return expected + scatter - self.atrophy_ml


def draw_group(rng, age_years: np.ndarray, scanner_of: np.ndarray, atrophy_ml: float) -> Group:
    """People of these ages (N,) on these scanners (N,), with an atrophy of this mean."""
    n = len(age_years)
    offsets = rng.standard_normal(scanner_of.max() + 1)
    return Group(
        age_years, rng.normal(1480, 140, n), rng.standard_normal(n), offsets[scanner_of],
        rng.exponential(1.0, n) * atrophy_ml,
    )  # fmt: skip


def simulate_study(rng, atrophy_ml: float) -> dict[str, tuple[float, float]]:
    """Share of patients and of healthy people whose volume counts as reduced, by method."""
    ages = rng.uniform(18, 90, CONTROLS)
    controls = draw_group(rng, ages, rng.integers(0, CONTROL_SCANNERS, CONTROLS), 0.0)
    sites = np.repeat(np.arange(len(PATIENTS_BY_SCANNER)), PATIENTS_BY_SCANNER)
    patient_ages = np.where(sites == 0, rng.normal(42.2, 10.1, len(sites)),
                            rng.normal(37.3, 8.9, len(sites)))  # fmt: skip
    patients = draw_group(rng, patient_ages, sites, atrophy_ml)
    healthy = draw_group(rng, rng.uniform(20, 85, 1000), np.arange(1000), 0.0)
    shares = {}
    for method, (sd, inter_sd) in METHODS.items():
        norm, _ = fit_norm(controls.volume_ml(sd, inter_sd), controls.predictors)
        shares[method] = tuple(
            float(is_reduced(
                group.volume_ml(sd, inter_sd) - norm.expected_ml(group.predictors),
                norm.residual_sd_ml, inter_sd,
            ).mean())
            for group in (patients, healthy)
        )  # fmt: skip
    return shares


def simulate(studies: int, atrophy_ml: float = ATROPHY_ML, seed: int = 1) -> dict[str, np.ndarray]:
    """Shares (studies, 2) of patients and of healthy people found reduced, by method."""
    rng = np.random.default_rng(seed)
    found = [simulate_study(rng, atrophy_ml) for _ in range(studies)]
    return {method: np.array([study[method] for study in found]) for method in METHODS}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--atrophy-ml", type=float, default=ATROPHY_ML, help="mean of the patients")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shares = simulate(options.studies, options.atrophy_ml, options.seed)
    print("method\tsd_ml\tinter_scanner_sd_ml\tpaper_%\tpatients_%\tsd_of_studies_%\thealthy_%")
    for method, (sd, inter_sd) in METHODS.items():
        patients, healthy = 100 * shares[method].T
        print(
            f"{method}\t{sd}\t{inter_sd}\t{PAPER_PERCENT[method]}\t{patients.mean():.1f}"
            f"\t{patients.std(ddof=1):.1f}\t{healthy.mean():.2f}"
        )
    first, second, third = (shares[method][:, 0] for method in METHODS)
    print(
        f"studies in which the first finds most: {((first > second) & (first > third)).mean():.0%}"
    )
    print(
        f"studies with the paper's whole order: {((first > second) & (second > third)).mean():.0%}"
    )


if __name__ == "__main__":
    main()
