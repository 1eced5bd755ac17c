"""Heavy libraries, imported once for all workers."""

from __future__ import annotations

import gc
import importlib
import sys

LIBRARIES = (
    "torch", "bids_app.outputs", "ants", "deepbet.bet", "monai.inferers", "monai.networks.nets",
)  # fmt: skip


def import_libraries() -> None:
    """Import what nearly every node uses, where workers are forked from this process.

    A worker starts empty-handed on the first node that needs a library, when the other cores
    mostly wait for that node: each second of an import would be one of the whole run.
    """
    if sys.platform != "linux":
        return
    gc.disable()  # nothing of an import is garbage: a tenth of the time
    try:
        for name in LIBRARIES:
            importlib.import_module(name)
    finally:
        gc.enable()
