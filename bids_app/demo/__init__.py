"""The demo dataset: simulated multiple-sclerosis MRI with known truth, made offline.

``msmorph-demo DIR`` writes two subjects with two sessions each (T1w, 2D FLAIR, 2D T2w) from
the MNI152 template bundled with nilearn, and one T2w of the spinal cord. Nothing is downloaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "make_demo_dataset"]


def make_demo_dataset(directory: str | Path, seed: int = 1) -> Path:
    """Write the demo dataset into ``directory`` and return its path.

    Parameters
    ----------
    directory
        A folder that does not exist, is empty, or holds an earlier demo dataset (replaced).
    seed
        Seed of every random choice (head shape, lesion sites, pose, bias field, noise). The
        same seed gives the same voxels. The share of thalamus lost does not depend on it.

    Raises
    ------
    DemoError
        When ``directory`` holds something else, or cannot be written.
    """
    from .dataset import write_dataset

    return write_dataset(Path(directory), seed)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``msmorph-demo``; returns the exit code (0 written, 2 refused)."""
    from .cli import run

    return run(argv)
