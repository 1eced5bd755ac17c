from pathlib import Path

from bids_app.batches import batch_size, in_batches
from bids_app.config import Config
from bids_app.query import SessionInputs


def sessions(*labels: str) -> list[SessionInputs]:
    return [SessionInputs(s, str(i), None, None, None, (), ()) for i, s in enumerate(labels)]


def test_subjects_stay_whole_and_nobody_is_lost():
    given = sessions("1", "1", "2", "3", "3", "3", "4")
    batches = list(in_batches(given, 2))
    assert [[s.subject for s in batch] for batch in batches] == [["1", "1"], ["2", *"333"], ["4"]]
    assert [s for batch in batches for s in batch] == given
    assert list(in_batches([], 2)) == []


def test_more_sessions_at_once_where_more_can_run():
    def size(**settings):
        return batch_size(Config(Path("b"), Path("o"), "participant", **settings))

    assert size(nprocs=1) == 8
    assert size(nprocs=32) == 128
    assert size(nprocs=1, use_plugin=Path("slurm.yml")) == 100
