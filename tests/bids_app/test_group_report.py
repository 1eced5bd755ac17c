"""The group's page: whole, offline, and true about outliers, failures and what is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bids_app import tables
from bids_app.config import Config
from bids_app.failures import crash_dir
from bids_app.group import run_group
from bids_app.group_cohort import Cohort
from bids_app.group_join import join
from bids_app.group_plots import Mark, strip_plot
from tests.bids_app.group_cohorts import write_cohort, write_session

ROOT = Path(__file__).parents[2]
GOOD = {"qc_thalamus_flair_flag": "ok"}


@pytest.fixture
def config(tmp_path):
    return Config(tmp_path / "nowhere", tmp_path / "out", "group", work_dir=tmp_path / "work")


class _Links(HTMLParser):
    """Gathers where a page leads to, what it loads, and its anchors."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.anchors, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors += [found["id"]] if "id" in found else []
        if tag == "a":
            self.links.append(found["href"])
        if "src" in found or tag in ("link", "script", "iframe", "image", "use"):
            self.loaded.append(tag)


def group_page(config) -> str:
    assert run_group(config) == 0
    return (config.output_dir / "group.html").read_text(encoding="utf-8")


def section(page: str, anchor: str) -> str:
    """The text of one section of the page, without tags."""
    own = page.split(f'<h2 id="{anchor}">')[1].split("</section>")[0]
    return " ".join(re.sub("<[^>]*>", " ", own).split())


def add_cohort(config, sessions="ab"):
    """Twenty participants with 10.0 to 11.9 mL, and a table of who they are."""
    people = ["participant_id\tgroup"]
    for number in range(20):
        people.append(f"sub-{number:02d}\t{'MS' if number % 2 else 'HC'}")
        for step, session in enumerate(sessions):
            volume = 10 + 0.1 * number - 0.2 * step + 0.001 * number * step
            write_session(config.output_dir, f"{number:02d}", session, thalamus_flair_ml=volume,
                          **GOOD)  # fmt: skip
    (config.output_dir / "participants.tsv").write_text("\n".join(people) + "\n")


def test_the_page_needs_no_net_and_its_links_lead_somewhere(config):
    add_cohort(config)
    write_session(config.output_dir, "05", "b", thalamus_flair_ml=60, **GOOD)
    (config.output_dir / "sub-05.html").touch()
    page = group_page(config)
    found = _Links(page)
    assert not found.loaded
    assert not re.search(r"(?i)https?:|url\(|@import|//[a-z]+\.", page)
    for link in found.links:
        path, _, anchor = link.partition("#")
        assert not path or (config.output_dir / path).is_file(), link
        assert path or anchor in found.anchors, link
    assert "./sub-05.html#sub-05_ses-b" in found.links
    assert "For research use only" in page


def test_outliers_of_value_and_of_change_are_named(config):
    add_cohort(config)
    write_session(config.output_dir, "05", "b", thalamus_flair_ml=60, **GOOD)
    # Plausible in itself, and not after 10.0 mL.
    write_session(config.output_dir, "00", "b", thalamus_flair_ml=11.5, **GOOD)
    text = section(group_page(config), "outliers")
    assert "within its group of group" in text
    assert re.search(r"sub-05_ses-b Thalamus, FLAIR: (change \+|)[\d.]+ mL \(z", text)
    assert "Thalamus, FLAIR: 60 mL" in text
    assert "sub-00_ses-b Thalamus, FLAIR: change +1.5 mL" in text
    assert "Thalamus, FLAIR: 11.5 mL" not in text
    assert "sub-07" not in text


def test_few_sessions_have_no_outliers(config):
    for number, volume in enumerate([10, 11, 60]):
        write_session(config.output_dir, f"{number}", thalamus_flair_ml=volume)
    page = group_page(config)
    assert "None sought: there are too few sessions." in section(page, "outliers")
    assert "With fewer than 10 values" in section(page, "outliers")
    assert page.count("<svg") == 1  # nothing to follow over time


def test_failures_are_named_in_page_and_log(config, caplog):
    add_cohort(config, sessions="a")
    write_session(config.output_dir, "21", "a")
    folder = crash_dir(config.output_dir, "21", "20260101-000000_x")
    folder.mkdir(parents=True)
    config.write_toml(folder / "msmorph.toml")
    (folder / "crash-1.txt").write_text(
        "Node: msmorph_wf.sub_21_ses_a_wf.flair_check\n\nValueError: a<b> is & damaged.\n"
    )
    (config.output_dir / "sub-22" / "ses-a").mkdir(parents=True)
    page = group_page(config)
    text = section(page, "problems")
    assert "sub-21_ses-a the step flair_check failed: a&lt;b&gt; is &amp; damaged." in text
    assert "sub-22_ses-a not in the group table" in text
    assert "<strong>2 failed or absent.</strong>" in page
    assert "sub-21_ses-a: the step flair_check failed" in caplog.text
    assert "sub-22_ses-a: not in the group table" in caplog.text
    assert "20 1 1 in sessions with a failed step" in section(page, "missing")


def test_missing_numbers_have_their_reasons(config):
    add_cohort(config, sessions="a")
    write_session(config.output_dir, "21", "a", qc_thalamus_flair_flag="3 mL <is> odd")
    write_session(config.output_dir, "22", "a")
    page = group_page(config)
    text = section(page, "missing")
    assert "thalamus_flair_ml 20 2 1 not plausible ( qc_thalamus_flair_flag );" in text
    assert "1 without an image for it" in text
    assert "sub-22_ses-a" in text
    assert "tiv_ml" in text
    assert " 0 22 22 without an image for it" in text
    assert "group 2" in text.split("Joined columns")[1]
    flags = section(page, "flags")
    assert "qc_thalamus_flair_flag" in flags
    assert "sub-21_ses-a: 3 mL &lt;is&gt; odd 20 1 1" in flags


def test_labels_of_groups_are_escaped(config):
    add_cohort(config)
    path = config.output_dir / "participants.tsv"
    path.write_text(path.read_text().replace("HC", "<script>alert(1)</script> & co"))
    page = group_page(config)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in page


def test_time_comes_from_days_from_dates_or_from_the_order(config):
    add_cohort(config)
    rows = tables.read_tsv(config.output_dir / "sub-00/ses-a/anat/sub-00_ses-a_morph.tsv")[1]
    rows += [rows[0] | {"session_id": "ses-b"}]
    folder = config.output_dir / "sub-00"

    def cohort(text):
        (folder / "sub-00_sessions.tsv").write_text(text)
        return Cohort(join(rows, config.output_dir, config.bids_dir))

    found = cohort("session_id\tdays_since_baseline\nses-a\t731\nses-b\t0.5\n")
    assert found.times.tolist() == [2.0, 0.0]
    assert found.order == [[1, 0]]
    assert found.changes(np.array([5.0, 3.0])).tolist()[0] == 2
    found = cohort("session_id\tacq_time\nses-a\t2020-01-01T12:00:00\nses-b\t2021-01-01T00:00:00\n")
    assert found.times == pytest.approx([0, 365.5 / 365.25])
    found = cohort("session_id\tdays_since_baseline\nses-a\t0\nses-b\tn/a\n")
    assert found.times.tolist() == [1, 2]
    assert "order" in found.time_label


def test_every_value_is_a_dot_and_missing_ones_are_none():
    values = np.array([1.0, 1.0, 2.0, np.nan, 3.0])
    plot = strip_plot(values, np.array(["all"] * 5), [Mark(4, "a<b", "./x.html")], "title")
    assert plot.count("h0") == 4
    assert "n = 4" in plot
    assert "<title>a&lt;b</title>" in plot
    assert "nan" not in plot
    equal = strip_plot(np.array([5.0]), np.array(["all"]), [], "title")
    assert equal.count("h0") == 1


def test_nothing_found_leaves_no_page(config):
    config.output_dir.mkdir()
    assert run_group(config) == 1
    assert not (config.output_dir / "group.html").exists()


def test_the_command_needs_no_raw_data(config):
    write_session(config.output_dir, "01", thalamus_flair_ml=10)
    command = [sys.executable, "-m", "bids_app.cli", config.bids_dir, config.output_dir]
    done = subprocess.run(
        [*command, "group", "-w", config.work_dir], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no participants.tsv" in done.stderr
    assert (config.output_dir / "group.html").is_file()


# The peak of a process counts from its own start, unlike ru_maxrss, which begins with its parent's.
MEASURED = """
import pathlib, re, sys
from bids_app.cli import main
code = main(sys.argv[2:])
peak = re.search(r"VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())
pathlib.Path(sys.argv[1]).write_text(peak[1])
sys.exit(code)
"""


@pytest.mark.slow
def test_a_thousand_sessions_take_seconds_and_little_memory(config, tmp_path):
    """500 participants, two sessions: under 30 s of processor time and 1 GB, page included."""
    write_cohort(config.output_dir, 500, 2, np.random.default_rng(1))
    peak = tmp_path / "peak_kb"
    command = [sys.executable, "-c", MEASURED, peak, config.bids_dir, config.output_dir]
    process = subprocess.Popen([*command, "group", "-w", config.work_dir], cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert used.ru_utime + used.ru_stime < 30
    assert int(peak.read_text()) < 1e6  # kB
    rows = tables.read_tsv(config.output_dir / "group_desc-slices_morph.tsv")[1]
    assert len(rows) == 60_000
    page = (config.output_dir / "group.html").read_text(encoding="utf-8")
    assert "1000 sessions of 500 participants" in page
    assert len(page) < 5e6
