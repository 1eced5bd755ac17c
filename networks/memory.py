"""How the C library keeps the memory that networks use again and again."""

from __future__ import annotations

import ctypes

# malloc.h of the GNU C library
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Ask the C library not to return freed blocks to the system; whether it agreed.

    Feature maps of 3D networks are larger than what it keeps by default: each is mapped anew and
    filled with zeros by the kernel, which takes up to half of the time on a CPU (measured in
    docs/benchmarks.md, "Time and memory"). The price is about a quarter more memory. Results do not
    change.
    """
    try:
        library = ctypes.CDLL(None)
        return bool(library.mallopt(_MMAP_MAX, 0) and library.mallopt(_TRIM_THRESHOLD, 2**31 - 1))
    except (AttributeError, OSError, TypeError):  # another C library than GNU's
        return False
