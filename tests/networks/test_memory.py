"""The C library keeps what was freed."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource

from networks.memory import keep_freed_memory
if KEEP and not keep_freed_memory():
    print("unsupported")
    raise SystemExit
size = 40_000_000
for _ in range(20):
    b"x" * size
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def page_faults(keep: bool) -> str:
    code = PROGRAM.replace("KEEP", str(keep))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout


def test_large_blocks_are_used_again():
    kept = page_faults(True).strip()
    if kept == "unsupported":
        pytest.skip("not the GNU C library")
    # 20 blocks of 10,000 pages: mapped once rather than 20 times.
    assert int(page_faults(False)) - int(kept) > 100_000
