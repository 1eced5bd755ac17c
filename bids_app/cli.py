"""The command ``msmorph``: settings, environment, inputs, and on to the level that was asked."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bids_app.config import Config
from bids_app.errors import UsageError
from bids_app.parser import parse_args
from bids_app.preload import import_libraries
from bids_app.query import SessionInputs, collect_sessions
from bids_app.validation import validate_dataset

LOGGER = logging.getLogger("msmorph")

FAILED = 1
USAGE_ERROR = 2
INTERRUPTED = 130
_MARK = ".msmorph-work"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code.

    0: all done; 1: some session failed while the others finished, or a file could not be written;
    2: wrong usage; 3: no valid weights; 130: interrupted.
    """
    try:
        return run(parse_args(argv))
    except UsageError as error:
        print(f"msmorph: {error}", file=sys.stderr)
        return USAGE_ERROR
    except OSError as error:  # what no session can go on without: its disk is full, perhaps
        from bids_app.failures import with_remedy

        LOGGER.debug("Stopped", exc_info=True)
        print(f"msmorph: {with_remedy(str(error))}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("msmorph: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as stop:  # argparse, after --help and --version
        return stop.code if isinstance(stop.code, int) else 0


def run(config: Config) -> int:
    """Run the level that the settings ask for; return its exit code."""
    prepare_work_dir(config)
    prepare_environment(config)
    configure_logging(config)
    if config.analysis_level == "group":
        from bids_app.group import run_group

        return run_group(config)
    with ThreadPoolExecutor(1) as beside:  # the validator is a program of its own
        validation = beside.submit(validate, config)
        sessions = collect_sessions(config)
        if needs_libraries(config, sessions):
            import_libraries()
        validation.result()
    if config.dry_run:
        return print_plan(config, sessions)

    from bids_app.participant import run_participant

    return run_participant(config, sessions)


def validate(config: Config) -> None:
    """Check the dataset unless it is not to be read; raises UsageError when it is not valid."""
    if not (config.skip_bids_validation or config.reports_only or config.boilerplate_only):
        validate_dataset(config.bids_dir, config.participant_label)


def needs_libraries(config: Config, sessions: Sequence[SessionInputs]) -> bool:
    """Whether nodes will run on this machine, in workers of the default plugin."""
    only_texts = config.dry_run or config.reports_only or config.boilerplate_only
    here = not only_texts and config.use_plugin is None
    return here and any(session.has_input(config.tasks) for session in sessions)


def prepare_work_dir(config: Config) -> None:
    """Make the working directory, and with ``--clean-workdir`` empty it first.

    Only a directory that MSMorph has made is emptied; raises UsageError for any other.
    """
    work = config.work_dir
    try:
        if config.clean_workdir and work.is_dir() and any(work.iterdir()):
            _clean(config)
        fresh = not work.is_dir() or not any(work.iterdir())
        work.mkdir(parents=True, exist_ok=True)
        if fresh:
            (work / _MARK).write_text("MSMorph made this folder; --clean-workdir empties it.\n")
    except OSError as error:
        raise UsageError(f"Cannot use the working directory {work}: {error}.") from error


def _clean(config: Config) -> None:
    work = config.work_dir
    if not (work / _MARK).is_file():
        raise UsageError(
            f"MSMorph did not make the working directory {work}, so --clean-workdir leaves it "
            "as it is; empty it yourself or choose another with -w."
        )
    for place in (config.bids_dir, config.output_dir):
        if place.is_relative_to(work):
            raise UsageError(f"--clean-workdir would delete {place}, which lies in {work}.")
    for entry in work.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def prepare_environment(config: Config) -> None:
    """Set the environment that the libraries read when they are imported.

    Results depend on the random seed and on the threads (ANTs' registrations are repeatable
    with one ITK thread only), so these are set whatever they were; the rest are defaults:
    no network, no display, no file outside the working directory, where temporary files go too.
    """
    templates = config.work_dir / "templateflow"
    templates.mkdir(parents=True, exist_ok=True)
    # TemplateFlow unpacks 2,500 files into an empty home; one file of any name stops it.
    (templates / "README").write_text("MSMorph needs no templates from TemplateFlow.\n")
    matplotlib = config.work_dir / "matplotlib"
    matplotlib.mkdir(exist_ok=True)
    temporary = config.work_dir / "tmp"
    temporary.mkdir(exist_ok=True)
    threads = str(config.omp_nthreads)
    os.environ.update(
        ANTS_RANDOM_SEED=str(config.random_seed),
        ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS="1",
        OMP_NUM_THREADS=threads,
        OPENBLAS_NUM_THREADS=threads,
        MKL_NUM_THREADS=threads,
    )
    defaults = {
        # Threads wait for others awake for some microseconds, then asleep: beside another job, the
        # milliseconds of the default double the time of a network.
        "GOMP_SPINCOUNT": "3000",
        "LOGNAME": os.environ.get("USER", "msmorph"),  # Nipype names Slurm's jobs after it
        "NO_ET": "1",
        "NIPYPE_NO_ET": "1",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(matplotlib),
        "TEMPLATEFLOW_HOME": str(templates),
        "TMPDIR": str(temporary),
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    tempfile.tempdir = None  # it may have been looked up before


def configure_logging(config: Config) -> None:
    """Send MSMorph's log to stderr; -v adds Nipype's progress, -vv everything."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        logging.Formatter("%(asctime)s msmorph %(levelname)s: %(message)s", "%y%m%d-%H:%M:%S")
    )
    LOGGER.handlers[:] = [handler]
    LOGGER.propagate = False
    LOGGER.setLevel(logging.DEBUG if config.verbose > 1 else logging.INFO)
    logging.getLogger("nipype").setLevel(nipype_level(config))


def nipype_level(config: Config) -> int:
    """Return the level for Nipype's loggers, which its import resets to its own."""
    return (logging.WARNING, logging.INFO, logging.DEBUG)[min(config.verbose, 2)]


def print_plan(config: Config, sessions: Sequence[SessionInputs]) -> int:
    """Print, for each session, its images, its notes and the steps that would run.

    Returns 0, or 3 where the weights of a task are missing, without which nothing would run.
    """
    from bids_app.participant import EXIT_WEIGHTS, describe_nodes, model_cards
    from networks.weights import WeightsError

    try:
        cards = model_cards(config)
    except WeightsError as error:
        print(f"msmorph: {error}", file=sys.stderr)
        return EXIT_WEIGHTS
    steps: dict[tuple, list[str]] = {}  # of sessions with the same images: a graph takes 0.1 s
    for session in sessions:
        print(session.prefix)
        images = {"T1w": session.t1w, "FLAIR": session.flair, "T2w": session.t2w}
        for name, path in images.items():
            print(f"  {name + ':':7}{_below(path, config.bids_dir) if path else 'n/a'}")
        for path in session.cord:
            print(f"  cord:  {_below(path, config.bids_dir)}")
        for note in session.notes:
            print(f"  note:  {note}")
        kind = (*(path is None for path in images.values()), *session.cord_sources)
        if kind not in steps:
            steps[kind] = describe_nodes(config, session, cards)
        print(f"  steps: {', '.join(steps[kind]) or 'none'}")
    print(f"{len(sessions)} session(s); nothing was run (--dry-run).")
    return 0


def _below(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


if __name__ == "__main__":
    sys.exit(main())
