"""The participant level: build the graph, run it, and report whatever happened."""

from __future__ import annotations

import gc
import json
import logging
import shutil
import subprocess
from pathlib import Path

from bids_app import failures as fail
from bids_app.batches import batch_size, in_batches
from bids_app.config import Config, load_plugin_file
from bids_app.cord_tables import cord_columns, old_cord_tables, write_cord_tables
from bids_app.dictionary import ENHANCEMENT, LESIONS, MORPH
from bids_app.finished import keep_if_current
from bids_app.measure_files import enhancement_rows_file, lesion_rows_file, measures_folder
from bids_app.norms.subject import check_run, figure_path, norm_columns
from bids_app.progress import Progress
from bids_app.query import SessionInputs

LOGGER = logging.getLogger("msmorph")
WORKFLOW = "msmorph_wf"
EXIT_FAILED, EXIT_WEIGHTS = 1, 3


def run_participant(config: Config, sessions: list[SessionInputs]) -> int:
    """Process the sessions. Returns 0, 1 when some session failed, 3 without valid weights.

    Reports, tables and the dataset's description are written even when nodes failed.
    """
    from bids_app import boilerplate, provenance
    from bids_app.errors import UsageError
    from networks.device import resolve_device
    from networks.weights import WeightsError

    try:
        cards = model_cards(config)
        config.device = resolve_device(config.device)
    except WeightsError as error:
        LOGGER.error("%s", error)
        return EXIT_WEIGHTS
    except ValueError as error:
        raise UsageError(str(error)) from None
    check_run(config, cards)
    provenance.write_dataset_description(
        config.output_dir, config.bids_dir, config.tasks, {s.subject for s in sessions}
    )
    config.write_toml(config.log_dir / f"config-{config.run_uuid}.toml")
    boilerplate.write_boilerplate(config)
    if config.boilerplate_only:
        return 0
    failed: list[fail.Failure] = []
    unreported: list[str] = []
    done = 0
    for batch in in_batches(sessions, batch_size(config)):
        if len(batch) < len(sessions):
            LOGGER.info("Sessions %d to %d of %d", done + 1, done + len(batch), len(sessions))
        own = fail.input_failures(batch)
        if not config.reports_only:
            own += _process_batch(config, batch, cards)
        failed += own
        unreported += _write_reports(config, batch, own, cards)
        done += len(batch)
        if own and config.stop_on_first_crash:
            break
    return _conclude(config, sessions[:done], failed, unreported)


def _process_batch(
    config: Config, batch: list[SessionInputs], cards: list[dict]
) -> list[fail.Failure]:
    """Process these sessions, write their tables and tidy up; return what failed."""
    error = None
    try:
        _process(config, batch, cards)
    except Exception as caught:
        LOGGER.debug("Nipype stopped", exc_info=True)
        error = caught
    finally:
        failed = fail.collect_failures(config.output_dir, config.run_uuid, batch)
        _write_tables(config, batch)
    if error is not None and not failed:
        what = fail.with_remedy(str(error))
        reason = f"the run stopped: {type(error).__name__}: {what}"
        failed = [fail.Failure(s.subject, s.session, "workflow", reason) for s in batch]
    if config.clean_workdir:
        _remove_finished(config, batch, failed)
    return failed


def _remove_finished(config: Config, batch: list[SessionInputs], failed: list[fail.Failure]):
    """Remove the work folders of the sessions that did not fail."""
    bad = {(f.subject, f.session) for f in failed}
    for session in batch:
        if (session.subject, session.session) not in bad:
            name = fail.workflow_name(session.subject, session.session)
            shutil.rmtree(config.work_dir / WORKFLOW / name, ignore_errors=True)


def model_cards(config: Config) -> list[dict]:
    """Verified model cards of the networks that the tasks need, each with its ``name``."""
    from networks import cord, deepgrai, enhancement, opfer
    from networks.brain_classes import WEIGHTS
    from networks.weights import read_card, verified_weights

    names = []
    if "thalamus" in config.tasks:
        names += [*deepgrai.STAGES, opfer.NAME]
    if "lesions" in config.tasks:
        names.append(WEIGHTS[config.lesion_model])
    if "enhancement" in config.tasks:
        names.append(enhancement.NAME)
    if "cord" in config.tasks:
        names += cord.names_used(config.model_dir)
    cards = []
    for name in names:
        card = read_card(name, config.model_dir)
        verified_weights(name, card, config.model_dir)
        cards.append({"name": name, **card})
    return cards


def describe_nodes(config: Config, session: SessionInputs, cards: list[dict]) -> list[str]:
    """Names of the nodes that would run for a session, for ``--dry-run``.

    ``cards`` are those of :func:`model_cards`.
    """
    from bids_app.outputs import init_single_session_wf

    if not session.has_input(config.tasks):
        return []
    workflow = init_single_session_wf(config, session, cards)
    names = (name.rsplit(".", 1)[-1] for name in workflow.list_node_names())
    return sorted(name for name in names if name not in ("inputnode", "outputnode"))


def build_workflow(config: Config, sessions: list[SessionInputs], cards: list[dict]):
    """The Nipype workflow of all sessions with images for the tasks; None without any."""
    from copy import deepcopy

    from nipype.pipeline import engine as pe

    from bids_app.outputs import init_single_session_wf

    workflow = pe.Workflow(name=WORKFLOW, base_dir=str(config.work_dir))
    with_input = [s for s in sessions if s.has_input(config.tasks)]
    for session in with_input:
        folder = fail.crash_dir(config.output_dir, session.subject, config.run_uuid)
        folder.mkdir(parents=True, exist_ok=True)
        config.write_toml(folder / "msmorph.toml")
        single = init_single_session_wf(config, session, cards)
        single.config["execution"]["crashdump_dir"] = str(folder)
        for node in single._get_all_nodes():
            node.config = deepcopy(single.config)
        workflow.add_nodes([single])
    return workflow if with_input else None


def _process(config: Config, sessions: list[SessionInputs], cards: list[dict]) -> None:
    """Build and run the graph; raises what Nipype raises when nodes failed."""
    _configure_nipype(config)
    if gc.get_freeze_count():  # the graph of the batch before
        gc.unfreeze()
        gc.collect()
    for session in sessions:
        for stale in _table_files(config, session):
            stale.unlink(missing_ok=True)
        name = fail.workflow_name(session.subject, session.session)
        keep_if_current(config.work_dir / WORKFLOW / name)
    workflow = build_workflow(config, sessions, cards)
    if workflow is None:
        LOGGER.warning("No session has an image that the tasks can use.")
        return
    graph = config.log_dir / f"graph-{config.run_uuid}.dot"
    if config.write_graph and not graph.exists():  # that of another batch looks the same
        _write_graph(workflow, graph)
    progress = Progress(workflow.list_node_names())
    # Nipype's scheduler collects garbage at every poll, and would walk through all that was
    # imported: 0.15 s each time, on a core that nodes could use. So would Python at its end.
    gc.freeze()
    workflow.run(**plugin_settings(config, progress))


def _write_graph(workflow, path: Path) -> None:
    """Write the graph as .dot, and as .svg where Graphviz is installed.

    Nipype would hand the path to a shell, which would run what stands in a folder's name.
    """
    workflow.write_graph(str(path), graph2use="colored", format="dot", simple_form=True)
    drawing = path.with_suffix(".svg")
    try:
        subprocess.run(["dot", "-Tsvg", f"-o{drawing}", str(path)], check=True)
    except (OSError, subprocess.CalledProcessError):
        LOGGER.warning("Graphviz (dot) cannot draw the graph: it is in %s only.", path)


def plugin_settings(config: Config, progress: Progress) -> dict:
    """Arguments of Nipype's ``run``: the user's plugin file, or MultiProc on this machine."""
    if config.use_plugin is None:
        from bids_app.workers import Workers

        arguments = {
            "n_procs": config.nprocs,
            "memory_gb": config.mem_gb,
            "raise_insufficient": False,
            "maxtasksperchild": 1 if config.low_mem else 8,
            "status_callback": progress,
        }
        return {"plugin": Workers(arguments)}
    settings = load_plugin_file(config.use_plugin)
    plugin, arguments = settings["plugin"], settings.get("plugin_args", {})
    if plugin == "SLURMGraph":
        from bids_app.slurm import WaitingSLURMGraph

        return {"plugin": WaitingSLURMGraph(plugin_args=arguments)}
    return {"plugin": plugin, "plugin_args": {"status_callback": progress, **arguments}}


def _configure_nipype(config: Config) -> None:
    from nipype import config as nipype_config
    from nipype import logging as nipype_logging

    from bids_app.cli import nipype_level

    nipype_config.update_config({
        "logging": {
            "log_to_file": "false",
            **dict.fromkeys(
                ("workflow_level", "interface_level", "utils_level"),
                logging.getLevelName(nipype_level(config)),
            ),
        },
        "execution": {
            "crashfile_format": "txt",
            "check_version": "false",
            "use_relative_paths": "true",  # or a moved work folder would be done again
            "get_linked_libs": "false",
            # Contents, not times: a copied dataset or a moved work folder stays finished.
            "hash_method": "content",
            # A cluster's queue is asked by a program of its own, for each job in it.
            "poll_sleep_duration": "2" if config.use_plugin else "0.02",
            "job_finished_timeout": "60",  # until another machine's file is seen here
            "stop_on_first_crash": str(config.stop_on_first_crash).lower(),
        },
        "monitoring": {
            "enabled": str(config.resource_monitor).lower(),
            "sample_frequency": "0.5",
            "summary_append": "true",
        },
    })  # fmt: skip
    nipype_logging.update_logging(nipype_config)
    if config.resource_monitor:
        nipype_config.enable_resource_monitor()


def session_folder(config: Config, session: SessionInputs) -> Path:
    """``OUT/sub-X[/ses-Y]/anat``."""
    folder = config.output_dir / f"sub-{session.subject}"
    return (folder / f"ses-{session.session}" if session.session else folder) / "anat"


def _table_path(config: Config, session: SessionInputs, table: str) -> Path:
    from bids_app.tables import table_name

    return session_folder(config, session) / table_name(session.prefix, table)


def _measure_files(config: Config, session: SessionInputs) -> list[Path]:
    return sorted(measures_folder(config, session).glob("*.json"))


def _table_files(config: Config, session: SessionInputs) -> list[Path]:
    """A session's tables and what they are made from."""
    paths = [_table_path(config, session, table) for table in (MORPH, LESIONS, ENHANCEMENT)]
    paths += [path.with_suffix(".json") for path in paths]
    paths += old_cord_tables(session, session_folder(config, session))
    paths.append(figure_path(config, session))
    return [*paths, *sorted(measures_folder(config, session).rglob("*.json"))]


def _write_tables(config: Config, sessions: list[SessionInputs]) -> None:
    """One morph row a session, of whatever its branches measured; absent measures are n/a.

    A session whose lesions were measured, be it that there are none, has a table of them too, one
    whose slices were scored for enhancement of these, and so has each image whose cord was.
    """
    from bids_app import tables
    from measures.structures import brain_parenchymal_fraction

    for session in sessions:
        labels = {
            "participant_id": f"sub-{session.subject}",
            "session_id": f"ses-{session.session}" if session.session else None,
        }
        row = dict(labels)
        for path in _measure_files(config, session):
            row |= json.loads(path.read_text(encoding="utf-8"))
        # Of two branches, and one alone must not stop the other's measures.
        fraction = brain_parenchymal_fraction(row.get("brain_ml"), row.get("tiv_ml"))
        row["brain_parenchymal_fraction"] = fraction
        row |= cord_columns(config, session)
        row |= norm_columns(config, session, row)
        tables.write_morph_row(row, _table_path(config, session, MORPH))
        parts = {LESIONS: lesion_rows_file, ENHANCEMENT: enhancement_rows_file}
        for table, file_of in parts.items():
            if (path := file_of(config, session)).is_file():
                own = [labels | part for part in json.loads(path.read_text(encoding="utf-8"))]
                tables.write_rows(own, _table_path(config, session, table), table)
        write_cord_tables(config, session, labels, session_folder(config, session))


def _write_reports(config, sessions, failed, cards) -> list[str]:
    """Write every subject's report. Returns the subjects whose report could not be written."""
    from bids_app import reports

    unreported = []
    for subject in sorted({s.subject for s in sessions}):
        own = [s for s in sessions if s.subject == subject]
        own_failures = [f for f in failed if f.subject == subject]
        try:
            path = reports.write_subject_report(
                config.output_dir, subject, own, own_failures, config, cards
            )
            LOGGER.info("Report of sub-%s: %s", subject, path)
        except Exception:
            LOGGER.exception("The report of sub-%s could not be written.", subject)
            unreported.append(subject)
    return unreported


def _conclude(config, sessions, failed, unreported) -> int:
    """Log the outcome and choose the exit code."""
    for failure in failed:
        LOGGER.error("FAILED %s", failure)
    for subject in unreported:
        LOGGER.error("FAILED sub-%s: its report could not be written", subject)
    bad = {(f.subject, f.session) for f in failed}
    LOGGER.info(
        "%d of %d sessions finished; results are in %s",
        len(sessions) - len(bad), len(sessions), config.output_dir,
    )  # fmt: skip
    return EXIT_FAILED if failed or unreported else 0
