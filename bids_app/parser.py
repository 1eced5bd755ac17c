"""The command line: arguments in, a checked :class:`~bids_app.config.Config` out."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from bids_app.config import (
    LEVELS,
    NOT_REUSED,
    Config,
    load_plugin_file,
    read_values,
)
from bids_app.errors import UsageError
from bids_app.filters import load_filters
from bids_app.options import GROUPS, OPTIONS, absolute_path, options_markdown

__all__ = ["build_parser", "check", "options_markdown", "parse_args"]

_DESCRIPTION = (
    "MSMorph: brain and spinal cord measures of multiple sclerosis from a BIDS dataset, "
    "as volumes, tables and reports, offline."
)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are UsageErrors, so that all bad usage ends in one way."""

    origin = ""

    def error(self, message: str) -> NoReturn:
        hint = "" if self.origin else " (msmorph --help lists all options)"
        raise UsageError(f"{self.origin}{message}{hint}")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser. Options that were not given stay out of the namespace."""
    parser = _Parser(prog="msmorph", description=_DESCRIPTION, allow_abbrev=False)
    parser.add_argument("bids_dir", type=absolute_path, help="the root of a BIDS dataset")
    parser.add_argument(
        "output_dir", type=absolute_path, help="where the derivatives and the reports go"
    )
    parser.add_argument(
        "analysis_level",
        choices=LEVELS,
        help="'participant' measures each session; 'group' joins the tables of all sessions "
        "and needs nothing but the participant level's outputs: then bids_dir need not exist",
    )
    _add_options(parser)
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    for name in GROUPS:
        group = parser.add_argument_group(name)
        for option in OPTIONS:
            if option.group == name:
                option.add_to(group)


def parse_args(argv: Sequence[str] | None = None) -> Config:
    """Read the command line and, where given, its config file; return the checked settings.

    The command line wins over the config file, which wins over the built-in defaults.
    Raises UsageError for anything that cannot be done.
    """
    given = vars(build_parser().parse_args(argv))
    values = {**_from_config_file(given.get("config_file")), **given}
    for name in ("participant_label", "session_label", "tasks", "ignore"):
        if name in values:
            values[name] = list(dict.fromkeys(values[name]))
    for name in ("derivatives", "inter_scanner_sd"):
        if name in values:
            values[name] = dict(values[name])
    config = Config(**values)
    if "omp_nthreads" not in given:  # a config file's number may come from a larger machine
        config.omp_nthreads = min(config.omp_nthreads, config.nprocs)
    check(config)
    return config


def _from_config_file(path: Path | None) -> dict[str, Any]:
    """Read the settings of a config file through the options' own checks."""
    if path is None:
        return {}
    parser = _Parser(prog="msmorph", add_help=False, allow_abbrev=False)
    parser.origin = f"In the config file {path}: "
    _add_options(parser)
    options = {option.dest: option for option in OPTIONS}
    tokens: list[str] = []
    for key, value in read_values(path).items():
        if key not in NOT_REUSED:
            tokens += _tokens(parser, options[key], value)
    return vars(parser.parse_args(tokens))


def _tokens(parser: _Parser, option: Any, value: Any) -> list[str]:
    """Spell a setting of a config file as command-line arguments."""
    flag = option.flags[-1]
    if option.is_switch:
        counts = option.kwargs["action"] == "count"
        if not isinstance(value, int if counts else bool) or int(value) < 0:
            kind = "a count" if counts else "true or false"
            parser.error(f"'{option.dest}' must be {kind}, not {value!r}")
        return [flag] * int(value)
    if isinstance(value, dict):
        value = [f"{name}={path}" for name, path in value.items()]
    if isinstance(value, bool) or (isinstance(value, list) and "nargs" not in option.kwargs):
        parser.error(f"'{option.dest}' cannot be {value!r}")
    values = value if isinstance(value, list) else [value]
    return [f"{flag}={v}" for v in values]


def check(config: Config) -> None:
    """Raise UsageError, one sentence, where the settings cannot work together."""
    if config.analysis_level != "group":  # which needs the derivatives alone
        _check_dataset(config.bids_dir)
    _check_places(config)
    if config.omp_nthreads > config.nprocs:
        raise UsageError(
            f"--omp-nthreads {config.omp_nthreads} is more than --nprocs {config.nprocs}."
        )
    if config.model_dir and not config.model_dir.is_dir():
        raise UsageError(f"The model folder {config.model_dir} does not exist.")
    for name, folder in config.derivatives.items():
        if not folder.is_dir():
            raise UsageError(f"The derivatives folder {name}={folder} does not exist.")
    if config.bids_filter_file:
        load_filters(config.bids_filter_file)
    if config.use_plugin:
        load_plugin_file(config.use_plugin)
    _check_norms(config)


def _check_norms(config: Config) -> None:
    if config.norms is None:
        if config.inter_scanner_sd:
            raise UsageError("--inter-scanner-sd needs --norms.")
        return
    if "thalamus" not in config.tasks:
        raise UsageError("--norms are of volumes of the thalamus: add thalamus to --tasks.")
    from bids_app.norms.file import read_norms

    read_norms(config.norms)


def _check_dataset(bids_dir: Path) -> None:
    if not bids_dir.is_dir():
        raise UsageError(
            f"The BIDS folder {bids_dir} does not exist; in a container, check that it is mounted."
        )
    description = bids_dir / "dataset_description.json"
    if not description.is_file():
        raise UsageError(
            f"{bids_dir} has no dataset_description.json, so it is not the root of a BIDS dataset."
        )
    try:
        content = json.loads(description.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"Cannot read {description}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{description} is not valid JSON: {error}.") from error
    if not isinstance(content, dict) or not {"Name", "BIDSVersion"} <= content.keys():
        raise UsageError(f"{description} must hold 'Name' and 'BIDSVersion'.")


def _check_places(config: Config) -> None:
    bids, out, work = config.bids_dir, config.output_dir, config.work_dir
    if out == bids:
        raise UsageError(
            f"The output folder is the BIDS folder itself; try {bids / 'derivatives' / 'msmorph'}."
        )
    if out.is_relative_to(bids) and bids / "derivatives" not in out.parents:
        raise UsageError(
            f"The output folder {out} lies inside the BIDS dataset; there, only a folder below "
            f"{bids / 'derivatives'} will do."
        )
    if work.is_relative_to(bids):
        raise UsageError(
            f"The working directory {work} lies inside the BIDS dataset; choose another with -w."
        )
    if work == out:
        raise UsageError(
            f"The working directory and the output folder are the same, {out}; choose another "
            "with -w."
        )
    for folder in (out, work):
        _check_writable(folder)


def _check_writable(folder: Path) -> None:
    """Check, without making it, that the folder can be written or made."""
    there = next(p for p in (folder, *folder.parents) if p.exists())
    if not there.is_dir():
        raise UsageError(f"Cannot write to {folder}: {there} is not a folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"Cannot write to {folder}: no permission in {there}.")


if __name__ == "__main__":
    print(options_markdown(), end="")
