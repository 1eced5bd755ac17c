"""Sessions in batches, so that memory and waiting do not grow with the dataset.

Nipype holds every node of a graph in memory, and expands the whole graph before the first one runs:
3 MB and 0.15 s a session. One graph of 1,000 subjects would take minutes and gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from bids_app.config import Config
from bids_app.query import SessionInputs

#: Sessions for each processor: at a batch's end some processors wait for the last session.
_EACH = 4
_AT_LEAST = 8
#: A cluster's queue wants many jobs at once.
_ON_CLUSTER = 100


def batch_size(config: Config) -> int:
    """Return how many sessions to hand to Nipype at once."""
    return _ON_CLUSTER if config.use_plugin else max(_AT_LEAST, _EACH * config.nprocs)


def in_batches(sessions: Sequence[SessionInputs], size: int) -> Iterator[list[SessionInputs]]:
    """Yield the sessions, sorted by subject, in batches of ``size`` or a little more.

    A subject's sessions stay together, as they share a report.
    """
    batch: list[SessionInputs] = []
    for _, own in groupby(sessions, key=lambda session: session.subject):
        batch += own
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
