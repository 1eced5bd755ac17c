"""The table of command-line options: the one home of each option's words.

The parser, the config file's checks and the page ``docs/cli.md`` are all made from it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bids_app import __version__
from bids_app.config import ALL_TASKS, CONTRASTS, DEFAULT_TASKS, LESION_MODELS, SKULL_STRIP
from bids_app.norms import INTER_SCANNER_SD_ML, VOLUMES

QUERY = "Options for filtering BIDS queries"
PERFORMANCE = "Options to handle performance"
SUBSET = "Options for performing only a subset of the workflow"
WORKFLOW = "Workflow configuration"
OTHER = "Other options"
GROUPS = (QUERY, PERFORMANCE, SUBSET, WORKFLOW, OTHER)

_UNIT_BYTES = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class Option:
    """One option: its group, flags, field of ``Config``, help text and default in words."""

    group: str
    flags: tuple[str, ...]
    dest: str
    help: str
    default: str = ""
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_switch(self) -> bool:
        """Return whether the option takes no value."""
        return self.kwargs.get("action") in ("store_true", "count")

    def add_to(self, group: Any) -> None:
        """Add the option to an argparse group; unset options stay out of the namespace."""
        text = f"{self.help} (default: {self.default})" if self.default else self.help
        kwargs = {"default": argparse.SUPPRESS, **self.kwargs}
        group.add_argument(*self.flags, dest=self.dest, help=text.replace("%", "%%"), **kwargs)


def memory_gb(text: str) -> float:
    """Read an amount of memory in GB: ``16``, ``16G``, ``7.5GB``, ``500MB`` (1 GB = 1000 MB)."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(?:([kmgt])(?:i?b)?)?\s*", text.lower())
    amount = float(found[1]) * _UNIT_BYTES[found[2] or "g"] / 1e9 if found else 0.0
    if not 0 < amount < float("inf"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no amount of memory; write for example 16, 16G, 7.5GB or 500MB"
        )
    return amount


def positive_int(text: str) -> int:
    """Read a whole number of at least 1."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def seed(text: str) -> int:
    """Read a random seed; 0 is refused because ANTs takes the clock for it."""
    number = positive_int(text)
    if number > _MAX_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is above {_MAX_SEED}")
    return number


def device(text: str) -> str:
    """Read a device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is none of auto, cpu, cuda, cuda:N")
    return text


def participant(text: str) -> str:
    """Read a participant label, with or without ``sub-``."""
    return _label(text, "sub-")


def session(text: str) -> str:
    """Read a session label, with or without ``ses-``."""
    return _label(text, "ses-")


def derivative(text: str) -> tuple[str, Path]:
    """Read ``NAME=PATH``, or ``PATH`` alone, which is then named after its last folder."""
    name, equals, path = text.partition("=")
    folder = Path(path if equals else name).expanduser().resolve()
    name = name if equals else folder.name
    if not name or (equals and not path):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=PATH")
    return name, folder


def scanner_sd(text: str) -> tuple[str, float]:
    """Read ``COLUMN=ML``: a volume that can have norms, and a standard deviation in mL."""
    name, _, amount = text.partition("=")
    try:
        sd_ml = float(amount)
    except ValueError:
        sd_ml = -1.0
    if name not in VOLUMES or not 0 <= sd_ml < float("inf"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not of the form COLUMN=ML, such as thalamus_t1w_ml=0.28; columns: "
            f"{', '.join(VOLUMES)}"
        )
    return name, sd_ml


def absolute_path(text: str) -> Path:
    """Read a path and make it absolute."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text).expanduser().resolve()


def _label(text: str, prefix: str) -> str:
    label = text.removeprefix(prefix)
    if not re.fullmatch(r"[0-9A-Za-z+]+", label):
        raise argparse.ArgumentTypeError(f"{text!r} is no BIDS label (letters and digits only)")
    return label


def _several(**kwargs: Any) -> dict[str, Any]:
    return {"nargs": "+", "action": "extend", **kwargs}


_SWITCH = {"action": "store_true"}
_PATH = {"type": absolute_path, "metavar": "DIR"}
_FILE = {"type": absolute_path, "metavar": "FILE"}

OPTIONS: tuple[Option, ...] = (
    Option(
        QUERY, ("--skip-bids-validation",), "skip_bids_validation",
        "take the dataset as it is, without running the BIDS validator", kwargs=_SWITCH,
    ),
    Option(
        QUERY, ("--participant-label", "--participant_label"), "participant_label",
        "only these participants, with or without 'sub-'", "all of the dataset",
        _several(type=participant, metavar="LABEL"),
    ),
    Option(
        QUERY, ("--session-label", "--session_label"), "session_label",
        "only these sessions, with or without 'ses-'", "all of the participants",
        _several(type=session, metavar="LABEL"),
    ),
    Option(
        QUERY, ("--bids-filter-file",), "bids_filter_file",
        "JSON file of PyBIDS entities per contrast, with the keys "
        f"{', '.join(CONTRASTS)}; null means 'without this entity', \"*\" 'with any'",
        kwargs=_FILE,
    ),
    Option(
        QUERY, ("-d", "--derivatives"), "derivatives",
        "folders of other tools' derivatives; only recorded with the run in this version",
        kwargs=_several(type=derivative, metavar="NAME=PATH"),
    ),
    Option(
        QUERY, ("--bids-database-dir",), "bids_database_dir",
        "keep PyBIDS's index of the dataset in this folder, and use the one there; delete it "
        "when the dataset has changed", "index anew in each run", _PATH,
    ),
    Option(
        PERFORMANCE, ("--nprocs", "--nthreads", "--n-cpus"), "nprocs",
        "how many processors to use at once", "all that the process may use",
        {"type": positive_int, "metavar": "N"},
    ),
    Option(
        PERFORMANCE, ("--omp-nthreads",), "omp_nthreads",
        "how many threads a single step may use",
        "OMP_NUM_THREADS where set, else 8, and never more than --nprocs",
        {"type": positive_int, "metavar": "N"},
    ),
    Option(
        PERFORMANCE, ("--mem", "--mem-gb"), "mem_gb",
        "how much memory to plan with; a bare number is GB, and 16G, 7.5GB or 500MB are "
        "understood", "90% of the machine's memory", {"type": memory_gb, "metavar": "AMOUNT"},
    ),
    Option(
        PERFORMANCE, ("--low-mem",), "low_mem",
        "use less memory at the price of time and of disk space", kwargs=_SWITCH,
    ),
    Option(
        PERFORMANCE, ("--use-plugin",), "use_plugin",
        "YAML file with Nipype's 'plugin' and 'plugin_args', for a cluster", "MultiProc", _FILE,
    ),
    Option(
        SUBSET, ("--tasks",), "tasks",
        "what to measure; 'enhancement' is experimental, includes 'lesions' and needs weights of "
        "your own (--model-dir)",
        " ".join(DEFAULT_TASKS), _several(choices=ALL_TASKS),
    ),
    Option(
        SUBSET, ("--dry-run",), "dry_run",
        "print, for each session, which images were found and which steps would run, and stop",
        kwargs=_SWITCH,
    ),
    Option(
        SUBSET, ("--reports-only",), "reports_only",
        "only write the reports of what is already there", kwargs=_SWITCH,
    ),
    Option(
        SUBSET, ("--boilerplate-only",), "boilerplate_only",
        "only write the methods text with its citations", kwargs=_SWITCH,
    ),
    Option(
        WORKFLOW, ("--ignore",), "ignore",
        "leave these images out even where the dataset has them", "none",
        _several(choices=CONTRASTS),
    ),
    Option(
        WORKFLOW, ("--skull-strip",), "skull_strip",
        "brain extraction: 'auto' leaves it out where an image already shows only the brain",
        "auto", {"choices": SKULL_STRIP},
    ),
    Option(
        WORKFLOW, ("--lesion-model",), "lesion_model",
        "network that finds the brain lesions; volumes of the two must not be mixed; 'deepscan' "
        "needs weights of your own (--model-dir)",
        "unet", {"choices": LESION_MODELS},
    ),
    Option(
        WORKFLOW, ("--lesion-filling",), "lesion_filling",
        "also write the T1w with its lesions filled, for other tools", kwargs=_SWITCH,
    ),
    Option(
        WORKFLOW, ("--norms",), "norms",
        "compare the thalamus volumes with the norms in this file of msmorph-norms", kwargs=_FILE,
    ),
    Option(
        WORKFLOW, ("--inter-scanner-sd",), "inter_scanner_sd",
        "standard deviation in mL of one person's volume between scanners, for --norms",
        ", ".join(f"{name}={ml}" for name, ml in INTER_SCANNER_SD_ML.items()),
        _several(type=scanner_sd, metavar="COLUMN=ML"),
    ),
    Option(
        WORKFLOW, ("--device",), "device",
        "where the networks run; 'auto' takes a GPU if there is one", "auto",
        {"type": device, "metavar": "{auto,cpu,cuda,cuda:N}"},
    ),
    Option(
        WORKFLOW, ("--model-dir",), "model_dir",
        "folder with the networks' weights and model cards", "the weights that come with MSMorph",
        _PATH,
    ),
    Option(
        WORKFLOW, ("--random-seed",), "random_seed",
        "seed of everything that draws random numbers, at least 1", "1",
        {"type": seed, "metavar": "N"},
    ),
    Option(
        OTHER, ("-w", "--work-dir"), "work_dir",
        "where intermediate results go; a rerun takes up what is there", "./work", _PATH,
    ),
    Option(
        OTHER, ("--clean-workdir",), "clean_workdir",
        "empty the working directory first, and remove the work of each session that finished",
        kwargs=_SWITCH,
    ),
    Option(
        OTHER, ("--config-file",), "config_file",
        "TOML file of settings, such as the one an earlier run left in logs/; the command line "
        "wins over it", kwargs=_FILE,
    ),
    Option(
        OTHER, ("--resource-monitor",), "resource_monitor",
        "record each step's memory and processor use", kwargs=_SWITCH,
    ),
    Option(
        OTHER, ("--write-graph",), "write_graph", "write a drawing of the workflow",
        kwargs=_SWITCH,
    ),
    Option(
        OTHER, ("--stop-on-first-crash",), "stop_on_first_crash",
        "stop at the first failure", "finish the other sessions", _SWITCH,
    ),
    Option(
        OTHER, ("-v", "--verbose"), "verbose",
        "say more; -vv says all", kwargs={"action": "count"},
    ),
    Option(
        OTHER, ("--version",), "version", "print the version and stop",
        kwargs={"action": "version", "version": f"msmorph {__version__}"},
    ),
)  # fmt: skip


def options_markdown() -> str:
    """Return the options as Markdown tables, one for each group, for ``docs/cli.md``."""
    parts = []
    for group in GROUPS:
        rows = [_row(o) for o in OPTIONS if o.group == group]
        head = ["| option | what it does | default |", "|---|---|---|"]
        parts.append("\n".join([f"### {group}", "", *head, *rows]))
    return "\n\n".join(parts) + "\n"


def _row(option: Option) -> str:
    values = option.kwargs.get("metavar")
    if "choices" in option.kwargs:
        values = "{" + ",".join(option.kwargs["choices"]) + "}"
    more = " ..." if option.kwargs.get("nargs") == "+" else ""
    flags = ", ".join(f"`{flag}`" for flag in option.flags if "_" not in flag)
    shown = f"{flags} `{values}{more}`" if values else flags
    cells = (shown, option.help[0].upper() + option.help[1:], option.default)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
