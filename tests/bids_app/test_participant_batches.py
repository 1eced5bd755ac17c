"""Sessions in batches: each with its tables, its tidying up and its failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_app import failures, participant
from bids_app.config import Config
from bids_app.query import SessionInputs


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs ten subjects, two at a time, with a made-up workflow."""
    (tmp_path / "bids").mkdir()
    sessions = [SessionInputs(f"{n:02d}", None, None, None, None, (), ()) for n in range(1, 11)]
    seen: list[list[str]] = []

    def work(process, **settings) -> tuple[int, Config, list[list[str]]]:
        config = Config(
            tmp_path / "bids", tmp_path / "out", "participant", work_dir=tmp_path / "work",
            **settings,
        )  # fmt: skip

        def processed(config, batch, cards):
            seen.append([session.subject for session in batch])
            for session in batch:
                _work_folder(config, session.subject).mkdir(parents=True)
            process(config, batch)

        monkeypatch.setattr(participant, "_process", processed)
        monkeypatch.setattr(participant, "batch_size", lambda config: 2)
        monkeypatch.setattr(participant, "model_cards", lambda config: [])
        return participant.run_participant(config, sessions), config, seen

    return work


def _work_folder(config: Config, subject: str) -> Path:
    return config.work_dir / participant.WORKFLOW / failures.workflow_name(subject, None)


def _sub_03_fails(config: Config, batch: list[SessionInputs]) -> None:
    if any(session.subject == "03" for session in batch):
        folder = failures.crash_dir(config.output_dir, "03", config.run_uuid)
        folder.mkdir(parents=True)
        (folder / "crash-1.txt").write_text("Node: msmorph_wf.sub_03_wf.n4\nValueError: too dark\n")
        raise RuntimeError("a node failed")


def test_clean_workdir_removes_the_work_of_every_session_that_finished(run):
    code, config, seen = run(_sub_03_fails, clean_workdir=True)
    assert code == participant.EXIT_FAILED
    assert seen == [["01", "02"], ["03", "04"], ["05", "06"], ["07", "08"], ["09", "10"]]
    left = [n for n in range(1, 11) if _work_folder(config, f"{n:02d}").exists()]
    assert left == [3]
    tables = sorted(config.output_dir.glob("sub-*/anat/*_morph.tsv"))
    assert len(tables) == 10


def test_the_work_stays_without_clean_workdir(run):
    code, config, _ = run(lambda config, batch: None)
    assert code == 0
    assert all(_work_folder(config, f"{n:02d}").exists() for n in range(1, 11))


def test_stop_on_first_crash_starts_no_other_batch(run):
    code, config, seen = run(_sub_03_fails, stop_on_first_crash=True)
    assert code == participant.EXIT_FAILED
    assert seen == [["01", "02"], ["03", "04"]]
    assert len(list(config.output_dir.glob("sub-*.html"))) == 4


def test_a_batch_that_stops_without_a_word_has_failed_and_the_others_go_on(run, caplog):
    def disk_full(config, batch):
        if batch[0].subject == "05":
            raise OSError(28, "No space left on device")

    code, config, seen = run(disk_full, clean_workdir=True)
    assert code == participant.EXIT_FAILED
    assert len(seen) == 5
    left = [n for n in range(1, 11) if _work_folder(config, f"{n:02d}").exists()]
    assert left == [5, 6]
    assert "No space left" in (config.output_dir / "sub-06.html").read_text()
