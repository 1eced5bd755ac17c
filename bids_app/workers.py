"""Nipype's plugin for this machine, safe against processes that die.

Nipype 1.11's own waits for ever for a worker that was killed, as the kernel does when memory runs
out, and its workers outlive a run that was killed: they would go on writing into a work folder that
the next run uses.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from nipype.pipeline.plugins.multiproc import MultiProcPlugin, process_initializer

_PR_SET_PDEATHSIG = 1
KILLED = (
    "WorkerKilledError: a process was killed while this step ran, most likely for lack of memory: "
    "run again with a smaller --nprocs or on a machine with more; what had finished is kept.\n"
)


class Workers(MultiProcPlugin):
    """MultiProc whose steps fail when their process is killed, and whose processes die with it."""

    def __init__(self, plugin_args=None):
        super().__init__(plugin_args=plugin_args)
        self.pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=self.processors,
            initializer=_start_worker,
            initargs=(self._cwd, os.getpid()),
            mp_context=multiprocessing.get_context(self.plugin_args.get("mp_context")),
        )

    def _submit_job(self, node, updatehash=False):
        try:
            return super()._submit_job(node, updatehash)
        except BrokenProcessPool:
            self.pool.shutdown(wait=False)
            self.pool = self._new_pool()
            self._taskid -= 1
            return super()._submit_job(node, updatehash)

    def _get_result(self, taskid):
        future = self._task_obj[taskid]
        if not future.done() or future.exception() is None:
            return super()._get_result(taskid)
        error = future.exception()
        killed = isinstance(error, BrokenProcessPool)
        text = KILLED if killed else f"{type(error).__name__}: {error}\n"
        return {"result": None, "traceback": [text], "taskid": taskid}

    def _async_callback(self, future):
        if future.exception() is None:
            super()._async_callback(future)


def _start_worker(folder: str, parent: int) -> None:
    """Make this process end when its parent does, however that ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before
            os._exit(1)
    process_initializer(folder)
