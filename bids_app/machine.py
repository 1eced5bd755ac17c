"""What this machine offers: processors and memory, as the job's limits allow."""

from __future__ import annotations

import os
from pathlib import Path

GIGABYTE = 1e9
MEMORY_SHARE = 0.9
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def available_cpus() -> int:
    """Return how many processors this process may use (at least 1)."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def total_memory_gb() -> float:
    """Return the memory of the machine, or of the container if that is less, in GB (1e9 bytes)."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in _CGROUP_LIMITS:
        try:
            total = min(total, int(file.read_text()))
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
    return total / GIGABYTE


def default_omp_threads(nprocs: int) -> int:
    """Return the threads of one job: ``OMP_NUM_THREADS`` where set, else 8, never over nprocs."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    threads = int(wanted) if wanted.isdigit() and int(wanted) > 0 else 8
    return min(nprocs, threads)


def default_memory_gb() -> float:
    """Return 90% of :func:`total_memory_gb`, rounded to 0.1 GB."""
    return round(total_memory_gb() * MEMORY_SHARE, 1)
