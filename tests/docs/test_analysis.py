"""docs/analysis.R finds the effects that a synthetic cohort was given, through the group level."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from bids_app.config import Config
from bids_app.group import run_group
from tests.bids_app.group_cohorts import write_session

SCRIPT = Path(__file__).parents[2] / "docs" / "analysis.R"
RSCRIPT = shutil.which("Rscript")
AGE, MALE, PATIENT, EDSS = -0.04, 0.9, -1.1, -0.3  # mL; a year, -, at the mean EDSS, a point
BETWEEN_ML, WITHIN_ML = 0.8, 0.15
pytestmark = pytest.mark.skipif(RSCRIPT is None, reason="R (Rscript) is not installed")


def make_cohort(out_dir: Path, patients: int, controls: int, sessions: int, seed: int):
    """Write derivatives of a cohort whose thalami follow the effects above.

    Returns (y, x, id): volumes (N,), the design (N, 5) with intercept, age, male, patient and
    EDSS (that of controls at the mean), and participants (N,).
    """
    generator = np.random.default_rng(seed)
    people, rows = ["participant_id\tAge\tsex\tgroup"], []
    for number in range(patients + controls):
        patient = number < patients
        age, male = int(generator.integers(20, 65)), int(generator.integers(2))
        people.append(f"sub-{number:03d}\t{age}\t{'FM'[male]}\t{'CIS' if patient else 'HC'}")
        start = generator.uniform(1, 5)
        table = ["session_id\tdays_since_baseline\tedss"]
        for session in range(sessions if number % 5 else 1):
            days = 400 * session + int(generator.integers(20)) * (session > 0)
            edss = round(start + generator.uniform(0, 1.5) * session, 1) if patient else np.nan
            rows.append((number, session, age + days / 365.25, male, patient, edss))
            table.append(f"ses-{session}\t{days}\t{edss if patient else 'n/a'}")
        folder = out_dir / f"sub-{number:03d}"
        folder.mkdir(parents=True)
        (folder / f"{folder.name}_sessions.tsv").write_text("\n".join(table) + "\n")
    (out_dir / "participants.tsv").write_text("\n".join(people) + "\n")
    number, session, age, male, patient, edss = np.array(rows, dtype=float).T
    centred = np.where(np.isnan(edss), 0, edss - np.nanmean(edss))
    own = generator.normal(0, BETWEEN_ML, patients + controls)[number.astype(int)]
    y = 16 + AGE * age + MALE * male + PATIENT * patient + EDSS * centred + own
    y = np.round(y + generator.normal(0, WITHIN_ML, len(y)), 4)
    for who, when, volume in zip(number, session, y, strict=True):
        write_session(out_dir, f"{int(who):03d}", str(int(when)), thalamus_flair_ml=volume,
                      qc_flair_slice_thickness_mm=3.0)  # fmt: skip
    # One more session without the volume, which must not matter.
    write_session(out_dir, "000", "x", tiv_ml=1500.0)
    x = np.column_stack([np.ones(len(y)), age, male, patient, centred + np.nanmean(edss)])
    return y, x, number


def run_analysis(out_dir: Path, *arguments: str) -> tuple[str, dict[str, list[float]]]:
    """Group the derivatives and analyse them: the text, and by term estimate, se, df, CI."""
    bids = out_dir.parent / "nowhere"
    assert run_group(Config(bids, out_dir, "group", work_dir=out_dir.parent / "w")) == 0
    command = [RSCRIPT, SCRIPT, out_dir / "group_morph.tsv", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout.split("\n\n")[1].splitlines()
    assert table[0].split()[:6] == ["term", "estimate", "se", "df", "ci_low", "ci_high"]
    return done.stdout, {line.split()[0]: [float(v) for v in line.split()[1:6]]
                         for line in table[1:]}  # fmt: skip


def reml(y, x, participant):
    """Random-intercept model by dense matrices: estimates, standard errors, both SDs."""
    same = (participant[:, None] == participant[None, :]).astype(float)

    def solve(log_sd):
        v = np.exp(2 * log_sd[0]) * same + np.exp(2 * log_sd[1]) * np.eye(len(y))
        inverse = np.linalg.inv(v)
        cross = x.T @ inverse @ x
        beta = np.linalg.solve(cross, x.T @ inverse @ y)
        rest = y - x @ beta
        dets = np.linalg.slogdet(v)[1] + np.linalg.slogdet(cross)[1]
        return dets + rest @ inverse @ rest, beta, np.sqrt(np.diag(np.linalg.inv(cross)))

    best = minimize(lambda p: solve(p)[0], np.log([0.5, 0.5]), method="Nelder-Mead",
                    options={"xatol": 1e-7, "fatol": 1e-9})  # fmt: skip
    return (*solve(best.x)[1:], np.exp(best.x))


def test_a_mixed_model_finds_what_was_planted(tmp_path):
    y, x, participant = make_cohort(tmp_path / "out", 60, 30, 3, seed=11)
    text, found = run_analysis(tmp_path / "out")
    assert "random intercept" in text
    assert "days_since_baseline / 365.25 is added" in text
    assert "No EDSS in HC" in text
    assert "1 of" in text
    terms = ["(Intercept)", "age", "sexM", "groupCIS", "edss"]
    assert sorted(found) == sorted(terms)
    for term, planted in zip(terms[1:], (AGE, MALE, PATIENT, EDSS), strict=True):
        estimate, _, _, low, high = found[term]
        assert low < planted < high, term
        assert low < estimate < high
        assert not low < 0 < high, term
    beta, errors, (between, within) = reml(y, x, participant)
    assert [found[t][0] for t in terms] == pytest.approx(beta, rel=2e-3)
    assert [found[t][1] for t in terms] == pytest.approx(errors, rel=2e-3)
    spread = [float(v) for v in text.rsplit("SD between participants", 1)[1]
              .replace(", within", "").split()]  # fmt: skip
    assert spread == pytest.approx([between, within], rel=2e-3)
    # Between participants there are 90 of them to learn from, within them 162 sessions more.
    assert 80 < found["groupCIS"][2] < 90
    assert 130 < found["edss"][2] < len(y)


def test_one_session_each_is_an_ordinary_linear_model(tmp_path):
    y, x, _ = make_cohort(tmp_path / "out", 40, 25, 1, seed=12)
    text, found = run_analysis(tmp_path / "out")
    assert ", lm;" in text
    beta, rest, _, _ = np.linalg.lstsq(x, y, rcond=None)
    error = np.sqrt(np.diag(np.linalg.inv(x.T @ x)) * rest[0] / (len(y) - 5))
    terms = ["(Intercept)", "age", "sexM", "groupCIS", "edss"]
    assert [found[t][0] for t in terms] == pytest.approx(beta, rel=1e-3)
    assert [found[t][1] for t in terms] == pytest.approx(error, rel=1e-3)
    assert found["edss"][2] == len(y) - 5
    assert found["age"][3] < AGE < found["age"][4]


def test_no_difference_between_participants_is_a_linear_model_too(tmp_path):
    """Without a random intercept REML ends at its bound; the estimates are those of lm."""
    generator = np.random.default_rng(5)
    out_dir = tmp_path / "out"
    values = generator.normal(15, 1, (12, 2))
    values[:, 1] = 30 - values[:, 0]  # sessions of a participant are less alike than chance
    people = [f"sub-{n:02d}\t{20 + n}" for n in range(12)]
    for number in range(12):
        for session in range(2):
            volume = values[number, session]
            write_session(out_dir, f"{number:02d}", str(session), thalamus_t1w_ml=volume)
    (out_dir / "participants.tsv").write_text("\n".join(["participant_id\tage", *people]) + "\n")
    text, found = run_analysis(out_dir, "thalamus_t1w_ml")
    assert "SD between participants 0.0000" in text
    assert found["age"][0] == pytest.approx(0, abs=1e-4)
    assert found["age"][2] == 22


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name the table"),
        (("none.tsv",), "none.tsv does not exist"),
        (("a.tsv", "volume"), "no column volume"),
        (("a.tsv", "thalamus_flair_ml", "height"), "no column height"),
        (("a.tsv",), "has 'x', which is no number"),
        (("a.tsv", "tiv_ml"), "too few complete sessions"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(tmp_path, arguments, message):
    (tmp_path / "a.tsv").write_text(
        "participant_id\tthalamus_flair_ml\ttiv_ml\nsub-01\tx\t1\nsub-02\t3\tn/a\n"
        if arguments == ("a.tsv",)
        else "participant_id\tthalamus_flair_ml\ttiv_ml\nsub-01\t2\t1\nsub-02\t3\tn/a\n"
    )
    done = subprocess.run([RSCRIPT, SCRIPT, *arguments], capture_output=True, text=True,
                          cwd=tmp_path, check=False, timeout=60)  # fmt: skip
    assert done.returncode == 2
    assert message in done.stderr
    assert "Error" not in done.stderr
