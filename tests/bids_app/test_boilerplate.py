"""The methods text says what ran, and every citation has its reference."""

from __future__ import annotations

import re

import pytest

from bids_app import boilerplate
from bids_app.config import Config

VERSIONS = {"nipype": "1.2", "python": "3.11", "antspyx": "0.6"}


@pytest.fixture
def config(tmp_path):
    return Config(
        bids_dir=tmp_path, output_dir=tmp_path / "out", analysis_level="participant",
        tasks=["thalamus", "lesions", "cord"],
    )  # fmt: skip


def test_every_entry_is_complete():
    assert len(boilerplate.bibliography()) >= 11
    for key, entry in boilerplate.bibliography().items():
        assert {"author", "title", "year", "doi"} <= set(entry), key
        assert not set("{}\\") & set("".join(v for k, v in entry.items() if k != "raw")), key
        assert entry["year"] in key
    text = boilerplate._FILE.read_text(encoding="utf-8")
    assert text.count("\n@") + 1 == len(boilerplate.bibliography())


def test_says_what_ran(config):
    text = boilerplate.to_markdown(boilerplate.methods(config, VERSIONS))
    assert "DeepGRAI (Dwyer et al., 2021)" in text
    assert "N4 (Tustison et al., 2010), as antspyx offers it (version 0.6)" in text
    assert "T1w, FLAIR and T2w images" in text
    assert "10.1016/j.nicl.2021.102652" in text
    assert "network (Opfer et al., 2023)" in text
    assert "10.1007/s00330-022-09170-y" in text
    config.ignore = ["flair"]
    text = boilerplate.to_markdown(boilerplate.methods(config, VERSIONS))
    assert "DeepGRAI" not in text
    assert "Opfer" in text
    config.tasks, config.skull_strip, config.ignore = [], "skip", ["t2w"]
    text = boilerplate.to_markdown(boilerplate.methods(config, VERSIONS))
    assert "DeepGRAI" not in text
    assert "deepbet" not in text
    assert "T1w and FLAIR images" in text


@pytest.mark.parametrize(
    ("model", "named", "other"),
    [("deepscan", "DeepSCAN (McKinley et al., 2021)", "nnU-Net"),
     ("unet", "nnU-Net's kind (Isensee et al., 2021)", "DeepSCAN")],
)  # fmt: skip
def test_lesions_are_those_of_the_model_chosen(config, model, named, other):
    config.tasks, config.lesion_model = ["lesions"], model
    text = boilerplate.to_markdown(boilerplate.methods(config, VERSIONS))
    assert named in text
    assert other not in text
    assert ("label-flip output" in text) == (model == "deepscan")
    assert "McDonald criteria (Thompson et al., 2018)" in text
    assert "DeepGRAI" not in text
    own = {"deepscan": "10.1038/s41598-020-79925-4", "unet": "10.1038/s41592-020-01008-z"}
    for doi in (own[model], "10.1016/S1474-4422(17)30470-2"):
        assert doi in text


@pytest.mark.parametrize(
    ("ignored", "there"), [(["flair"], True), (["t2w"], True), (["flair", "t2w"], False)]
)
def test_lesions_need_a_flair_or_a_t2w(config, ignored, there):
    config.ignore = ignored
    headings = [heading for heading, _ in boilerplate.methods(config, VERSIONS)]
    assert ("Brain lesions and structures" in headings) == there


@pytest.mark.parametrize("model", ["deepscan", "unet"])
def test_every_citation_has_a_reference(config, model):
    config.lesion_model = model
    parts = boilerplate.methods(config, VERSIONS)
    html = boilerplate.to_html(parts)
    targets = set(re.findall(r'href="#(ref-\w+)"', html))
    assert targets
    assert targets == set(re.findall(r'id="(ref-\w+)"', html))
    assert "[@" not in html + boilerplate.to_markdown(parts) + boilerplate.to_tex(parts)


def test_writes_four_files(config):
    files = boilerplate.write_boilerplate(config)
    assert sorted(p.name for p in config.log_dir.iterdir()) == sorted(
        f"CITATION.{kind}" for kind in ("md", "html", "tex", "bib")
    )
    tex, bib = files["tex"].read_text(), files["bib"].read_text()
    keys = {k for group in re.findall(r"\\cite\{([^}]*)\}", tex) for k in group.split(",")}
    assert keys == set(re.findall(r"^@\w+\{(\w+),", bib, re.MULTILINE))
    assert bib.count("{") == bib.count("}")
    assert files["html"].read_text().startswith("<!DOCTYPE html>")


def test_tex_escapes():
    assert boilerplate._tex("5% of A_b & \\") == r"5\% of A\_b \& \textbackslash{}"


@pytest.mark.parametrize(
    ("ignored", "there"), [([], True), (["t1w"], True), (["cord"], True), (["cord", "t1w"], False)]
)
def test_the_cord_needs_an_image_of_its_own_or_a_t1w(config, ignored, there):
    config.tasks, config.ignore = ["cord"], ignored
    text = boilerplate.to_markdown(boilerplate.methods(config, VERSIONS))
    assert ("convolutional networks (Gros et al., 2019)" in text) == there
    assert ("10.1016/j.neuroimage.2018.09.081" in text) == there
    assert ("10.1016/j.media.2017.12.001" in text) == there
