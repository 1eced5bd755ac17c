"""The settings of one run, and their TOML file (sections as fMRIPrep's ``config.toml``)."""

from __future__ import annotations

import json
import math
import os
import platform
import tomllib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from bids_app import __version__
from bids_app.errors import UsageError
from bids_app.machine import (
    available_cpus,
    default_memory_gb,
    default_omp_threads,
    total_memory_gb,
)

ALL_TASKS = ("thalamus", "lesions", "cord", "enhancement")
#: Those whose shipped networks measure well enough to run unasked (docs/benchmarks.md).
DEFAULT_TASKS = ("thalamus",)
CONTRASTS = ("t1w", "flair", "t2w", "cord")
LEVELS = ("participant", "group")
SKULL_STRIP = ("auto", "skip", "force")
LESION_MODELS = ("deepscan", "unet")

#: TOML section -> fields of :class:`Config`. ``[environment]`` is written and never loaded.
SECTIONS: dict[str, tuple[str, ...]] = {
    "execution": (
        "bids_dir", "output_dir", "analysis_level", "participant_label", "session_label",
        "bids_filter_file", "skip_bids_validation", "bids_database_dir", "derivatives",
        "work_dir", "clean_workdir", "config_file", "dry_run", "reports_only",
        "boilerplate_only", "write_graph", "stop_on_first_crash", "verbose", "run_uuid",
    ),
    "workflow": (
        "tasks", "device", "model_dir", "skull_strip", "ignore", "lesion_model", "lesion_filling",
        "norms", "inter_scanner_sd",
    ),
    "nipype": (
        "nprocs", "omp_nthreads", "mem_gb", "low_mem", "use_plugin", "resource_monitor",
    ),
    "seeds": ("random_seed",),
}  # fmt: skip
#: What belongs to one run only: ``--config-file`` does not carry it into another.
NOT_REUSED = ("bids_dir", "output_dir", "analysis_level", "config_file", "run_uuid")

_PACKAGES = (
    "antspyx", "deepbet", "fslpy", "monai", "nibabel", "nipype", "nireports", "niworkflows",
    "numpy", "pandas", "pybids", "scipy", "torch",
)  # fmt: skip


def new_run_uuid() -> str:
    """Return a name for this run: ``YYYYmmdd-HHMMSS_<uuid4>``."""
    return f"{datetime.now():%Y%m%d-%H%M%S}_{uuid.uuid4()}"


@dataclass
class Config:
    """Every setting of a run. Paths are absolute once made by the parser; memory is in GB."""

    bids_dir: Path
    output_dir: Path
    analysis_level: str
    participant_label: list[str] = field(default_factory=list)
    session_label: list[str] = field(default_factory=list)
    bids_filter_file: Path | None = None
    skip_bids_validation: bool = False
    bids_database_dir: Path | None = None
    derivatives: dict[str, Path] = field(default_factory=dict)
    nprocs: int = 0
    omp_nthreads: int = 0
    mem_gb: float = 0.0
    low_mem: bool = False
    use_plugin: Path | None = None
    tasks: list[str] = field(default_factory=lambda: list(DEFAULT_TASKS))
    device: str = "auto"
    model_dir: Path | None = None
    random_seed: int = 1
    skull_strip: str = "auto"
    ignore: list[str] = field(default_factory=list)
    lesion_model: str = "unet"
    lesion_filling: bool = False
    norms: Path | None = None
    inter_scanner_sd: dict[str, float] = field(default_factory=dict)
    work_dir: Path = field(default_factory=lambda: Path("work").resolve())
    clean_workdir: bool = False
    config_file: Path | None = None
    dry_run: bool = False
    reports_only: bool = False
    boilerplate_only: bool = False
    write_graph: bool = False
    resource_monitor: bool = False
    stop_on_first_crash: bool = False
    verbose: int = 0
    run_uuid: str = field(default_factory=new_run_uuid)

    def __post_init__(self) -> None:
        """Fill in what depends on the machine (0: as it has it); make the folders absolute."""
        self.bids_dir, self.output_dir, self.work_dir = (
            Path(folder).resolve() for folder in (self.bids_dir, self.output_dir, self.work_dir)
        )
        self.nprocs = self.nprocs or available_cpus()
        self.omp_nthreads = self.omp_nthreads or default_omp_threads(self.nprocs)
        self.mem_gb = self.mem_gb or default_memory_gb()
        if "enhancement" in self.tasks and "lesions" not in self.tasks:
            self.tasks = [*self.tasks, "lesions"]  # it looks at lesions only

    @property
    def log_dir(self) -> Path:
        """Return the dataset-wide log folder of the outputs."""
        return self.output_dir / "logs"

    def write_toml(self, path: str | Path) -> None:
        """Write every setting, and the versions at work, to a TOML file (whole or not at all)."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [*_section("environment", environment())]
        for name, keys in SECTIONS.items():
            lines += _section(name, {key: getattr(self, key) for key in keys})
        aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        aside.write_text("\n".join(lines), encoding="utf-8")
        os.replace(aside, path)

    @classmethod
    def read_toml(cls, path: str | Path) -> Config:
        """Read a file of :meth:`write_toml`; raise UsageError where a setting is missing or odd."""
        values = read_values(path)
        for name in ("bids_dir", "output_dir", "analysis_level"):
            if name not in values:
                raise UsageError(f"{path} lacks '{name}' in its section [execution].")
        kinds = {f.name: str(f.type) for f in fields(cls)}
        return cls(**{k: _convert(path, k, kinds[k], v) for k, v in values.items()})


def read_values(path: str | Path) -> dict[str, Any]:
    """Return the settings of a TOML file as plain values, sections merged.

    ``[environment]`` is left out. Raises UsageError for a missing or malformed file, an
    unknown section or an unknown key.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"Cannot read the config file {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"The config file {path} is not valid TOML: {error}.") from error
    values: dict[str, Any] = {}
    for name, section in content.items():
        if name == "environment":
            continue
        if name not in SECTIONS or not isinstance(section, dict):
            known = ", ".join(f"[{s}]" for s in SECTIONS)
            raise UsageError(f"The config file {path} has an unknown '{name}'; known: {known}.")
        for key, value in section.items():
            if key not in SECTIONS[name]:
                raise UsageError(
                    f"The config file {path} has an unknown setting '{key}' in [{name}]; "
                    f"known there: {', '.join(SECTIONS[name])}."
                )
            values[key] = value
    return values


def environment() -> dict[str, Any]:
    """Return what this run works with: versions of MSMorph, Python and the main libraries."""
    from importlib import metadata

    found = {
        "msmorph": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": available_cpus(),
        "memory_gb": round(total_memory_gb(), 1),
    }
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def load_plugin_file(path: str | Path) -> dict[str, Any]:
    """Read a Nipype plugin file, YAML ``{plugin: NAME, plugin_args: {...}}``.

    Returns the mapping to hand to ``workflow.run(**mapping)``; raises UsageError when the
    file is missing, is no YAML, or holds anything else.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"Cannot read the plugin file {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"The plugin file {path} is not valid YAML: {reason}.") from error
    good = (
        isinstance(content, dict)
        and isinstance(content.get("plugin"), str)
        and isinstance(content.get("plugin_args", {}), dict)
        and set(content) <= {"plugin", "plugin_args"}
    )
    if not good:
        raise UsageError(
            f"The plugin file {path} must hold 'plugin' (a name) and, if needed, "
            "'plugin_args' (a mapping), and nothing else."
        )
    return content


def _section(name: str, values: Mapping[str, Any]) -> list[str]:
    rows = [f"{key} = {_toml(v)}" for key, v in values.items() if v is not None]
    return [f"[{name}]", *rows, ""]


def _toml(value: Any) -> str:
    """Spell one value in TOML: bool, int, float, str, Path, list, dict."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(str(k))} = {_toml(v)}" for k, v in value.items()) + "}"
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _convert(path: str | Path, key: str, kind: str, value: Any) -> Any:
    """Turn a TOML value into the field's type; raise UsageError where it is of another."""
    plain = {"str": str, "bool": bool, "int": int, "Path": str, "Path | None": str}
    if kind == "float":
        good = isinstance(value, int | float) and not isinstance(value, bool)
    elif kind == "list[str]":
        good = isinstance(value, list) and all(isinstance(v, str) for v in value)
    elif kind.startswith("dict"):
        wanted = str if kind == "dict[str, Path]" else float
        good = isinstance(value, dict) and all(isinstance(v, wanted) for v in value.values())
    else:
        good = type(value) is plain[kind]
    if not good:
        raise UsageError(f"The config file {path} has a '{key}' that is not {kind}: {value!r}.")
    if kind.startswith("Path"):
        return Path(value)
    if kind == "dict[str, Path]":
        return {name: Path(v) for name, v in value.items()}
    return float(value) if kind == "float" else value
