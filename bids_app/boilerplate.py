"""The methods text of a run, with its citations, in Markdown, HTML, LaTeX and BibTeX.

The text is written once, with ``[@key]`` or ``[@key; @other]`` where something is cited; the keys
are those of ``data/boilerplate.bib``. Nothing here needs pandoc.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

from bids_app import __version__
from bids_app.atomic import atomic_write_text

_FILE = Path(__file__).with_name("data") / "boilerplate.bib"
_CITATION = re.compile(r"\[(@[\w]+(?:; ?@[\w]+)*)\]")
_ENTRY = re.compile(r"^@(\w+)\{(\w+),\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\s*(\w+) = \{(.*)\},?$", re.MULTILINE)
_ACCENTS = {r"{\u{a}}": "ă", r"{\"e}": "ë", r"{\'e}": "é", r"{\"u}": "ü"}
_TEX_SPECIAL = {c: "\\" + c for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip
NOTICE = (
    "The text below was written by MSMorph so that it can be used as it is, with the references, "
    "in the methods section of a publication. It describes this run."
)

Paragraphs = list[tuple[str, str]]


def methods(config: Any, versions: Mapping[str, str] | None = None) -> Paragraphs:
    """Return (heading, text with citation keys) of what a run with these settings does.

    ``config`` needs ``tasks``, ``skull_strip``, ``ignore`` and ``random_seed``; ``versions`` maps
    package names to versions (default: those installed).
    """
    if versions is None:
        from bids_app.config import environment

        versions = environment()
    parts = [("", _general(versions)), ("Anatomical images", _anatomical(config, versions))]
    if "thalamus" in config.tasks and "flair" not in config.ignore:
        parts.append(("Thalamus volume on FLAIR", _thalamus_flair(versions)))
    if "thalamus" in config.tasks and "t1w" not in config.ignore:
        parts.append(("Thalamus and intracranial volume on T1w", _thalamus_t1w(versions)))
    if config.norms is not None and "thalamus" in config.tasks:
        parts.append(("Comparison with norms", _norms(config)))
    if "lesions" in config.tasks and {"flair", "t2w"} - set(config.ignore):
        parts.append(("Brain lesions and structures", _lesions(config, versions)))
    if "enhancement" in config.tasks and not {"t1w", "flair", "t2w"} & set(config.ignore):
        parts.append(("Enhancement without gadolinium (experimental)", _enhancement(versions)))
    if "cord" in config.tasks and {"cord", "t1w"} - set(config.ignore):
        parts.append(("Spinal cord", _cord(versions)))
    parts.append(("Software", _software(config, versions)))
    return parts


def _with(versions: Mapping[str, str], package: str) -> str:
    from importlib import metadata

    try:
        return f"version {versions.get(package) or metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return "version unknown"


def _general(versions: Mapping[str, str]) -> str:
    return (
        f"Results were obtained with MSMorph {__version__}, a BIDS App "
        "[@gorgolewski2016bids; @gorgolewski2017bidsapps] for magnetic resonance imaging in "
        "multiple sclerosis, which is built on Nipype "
        f"[@gorgolewski2011nipype] ({_with(versions, 'nipype')})."
    )


def _anatomical(config: Any, versions: Mapping[str, str]) -> str:
    deepbet = f"deepbet [@fisch2024deepbet] ({_with(versions, 'deepbet')})"
    mask = {
        "auto": f"A brain mask was computed with {deepbet}, unless the image showed only the brain "
        "already; then all that is not background was taken.",
        "skip": "The images were given without the skull; all that is not background was taken as "
        "the brain mask.",
        "force": f"A brain mask was computed with {deepbet}.",
    }[config.skull_strip]
    contrasts = [name for name in ("T1w", "FLAIR", "T2w") if name.lower() not in config.ignore]
    names = ", ".join(contrasts[:-1]) + " and " * (len(contrasts) > 1) + "".join(contrasts[-1:])
    return (
        f"Of each session, the {names} images were used as far as they were there. "
        f"{mask} "
        "Intensity non-uniformity was corrected inside that mask with N4 [@tustison2010n4], as "
        f"antspyx offers it ({_with(versions, 'antspyx')}). "
        "The other contrasts were registered rigidly to the reference image (T1w, else FLAIR, "
        "else T2w) by mutual information with ANTs [@avants2011ants], and the correlation ratio "
        "inside the brain [@roche1998correlation] was kept as a measure of their agreement. "
        "For orientation and rough location only, the reference image as acquired, its brain "
        "evened in brightness, was registered with twelve degrees of freedom to the "
        "MNI152NLin2009aSym template [@fonov2011mni], which nilearn "
        f"[@abraham2014nilearn] ({_with(versions, 'nilearn')}) brings along."
    )


def _thalamus_flair(versions: Mapping[str, str]) -> str:
    return (
        "The thalamus was segmented on the bias-corrected FLAIR alone, by a reimplementation of "
        "DeepGRAI [@dwyer2021deepgrai]: a first 3D U-Net finds the thalamus on a coarse grid "
        "(2 mm), and a second one outlines it on a fine grid (0.5 mm) around that place. "
        "The networks are our own, not the authors': they were trained on real images and on "
        "images synthesised from label maps with random contrast, resolution and artefacts "
        "[@billot2023synthseg]; their model cards list the data. They were run with "
        f"{_libraries(versions)}. The probability map was brought back to the FLAIR's grid. "
        "Volumes are given for the voxels with a probability of at least 0.5 and as the sum of the "
        "probabilities, for each hemisphere; the plane between the two was found from the "
        "segmentation. Implausible volumes were set to n/a."
    )


def _thalamus_t1w(versions: Mapping[str, str]) -> str:
    return (
        "Thalami, other deep grey matter (caudate, putamen, pallidum and accumbens) and the "
        "remaining intracranial space were segmented on the bias-corrected T1w of the whole head, "
        "by a reimplementation of a published 3D convolutional network [@opfer2023thalamus]: an "
        "encoder and decoder with residual blocks that looks at patches of 160 mm on a 1 mm grid. "
        "The network is our own, not the authors'; its model card lists what it was trained on. It "
        f"was run with {_libraries(versions)} on the head and on its mirror image, and the "
        "probabilities were averaged. Left and right are classes of the network. Thalamus "
        "volumes are given for the voxels whose most probable class is thalamus and as the sum of "
        "the probabilities; deep grey matter (with the thalami) and intracranial volume are sums "
        "of probabilities. Implausible volumes, and the intracranial volume of heads cut by the "
        "field of view and of images without a skull, were set to n/a."
    )


def _norms(config: Any) -> str:
    from bids_app.norms.file import read_norms
    from bids_app.norms.subject import inter_scanner_sd

    norms = read_norms(config.norms)
    sizes = [f"{model.controls} for {name}" for name, model in norms.models.items()]
    known = {name: ml for name, ml in inter_scanner_sd(config).items() if name in norms.models}
    own = "as given by the user" if config.inter_scanner_sd else "from 30 simulated scanners"
    errors = ", ".join(f"{ml:g} mL for {name}" for name, ml in known.items()) or "not known"
    return (
        f"Volumes of the thalamus were compared with those of controls ({', '.join(sizes)}; norms "
        f"{norms.label}) as published for single subjects [@opfer2023thalamus]. "
        f"{norms.content['Model'].rstrip('.')}. The residual is given in mL and in standard "
        "deviations of the controls' (z). A volume counts as below normal when its residual with "
        "the 95% interval of the error between scanners lies entirely below the controls' 95% "
        f"interval; standard deviation of that error ({own}): {errors}."
    )


def _lesions(config: Any, versions: Mapping[str, str]) -> str:
    network = {
        "deepscan": "by a reimplementation of DeepSCAN [@mckinley2021deepscan], a network that "
        "labels the middle one of five slices, run axially, coronally and sagittally on the brain "
        "and on its mirror image; logits were averaged. Its label-flip output is given as the "
        "uncertainty of a lesion",
        "unet": "by a 3D U-Net of nnU-Net's kind [@isensee2021nnunet], run on the brain and on its "
        "mirror image; logits were averaged",
    }[config.lesion_model]
    return (
        "White-matter lesions and brain structures were segmented together on the FLAIR (the T2w "
        f"where there is none) with what else there was of T1w and T2w, {network}. The network is "
        "our own, not the authors'; its model card lists what it was trained on. It was run with "
        f"{_libraries(versions)} on the extracted brain at 1 mm, FLAIR and T2w without correction "
        "of non-uniformity, which takes large lesions for it. Lesions are 18-connected components "
        "of at least 3 mm3 of the thresholded probability, without those in choroid plexus and "
        "ventricles, and are counted as periventricular (touching the lateral ventricle "
        "or within 1.5 mm), juxtacortical, infratentorial or of the deep white matter after the "
        "McDonald criteria [@thompson2018mcdonald]. The hypointense part of a lesion is darker on "
        "T1w than the median of the cortex."
    )


def _enhancement(versions: Mapping[str, str]) -> str:
    return (
        "As an experiment, whether any lesion would enhance with gadolinium was predicted from "
        "T1w, T2w and FLAIR without contrast agent by a reimplementation of a published cascade "
        "[@narayana2020enhancing]: a network with VGG16's convolutional blocks scores each axial "
        "slice (3 mm) with a lesion, seen through the lesion mask dilated by 3 voxels, after "
        "normalisation and anisotropic diffusion [@perona1990diffusion]; a second one with four "
        "hidden nodes makes the participant's probability of the highest scores. The networks are "
        "our own, not the authors'; their model card lists what they were trained on. They were "
        f"run with {_libraries(versions)}. The probability is not calibrated and must not be used "
        "in place of a scan with contrast agent."
    )


def _cord(versions: Mapping[str, str]) -> str:
    return (
        "The spinal cord and lesions in it were segmented on each image of the cord as acquired, "
        "or on the T1w where there was none, by a reimplementation of a published sequence of "
        "convolutional networks [@gros2019cord]: a 2D network finds the cord in axial sections, "
        "its centreline is the best regular curve through them [@gros2018optic], and two 3D "
        "networks outline cord and lesions along it at 0.5 mm, after standardisation of the "
        "intensities. The networks are our own, not the authors'; their model cards list what they "
        f"were trained on. They were run with {_libraries(versions)}. Cross-sectional "
        "area is the sum of the voxels' shares of cord, corrected for the angle between section "
        "and centreline; vertebral levels come from disc labels where there were any, and "
        "otherwise, C1 to C3 on a T1w of the brain alone, from the distance below the top of the "
        "cord in the PAM50 template. What is not shaped like a cord is not measured. Lesions are "
        "18-connected components of at least 3 mm3 inside the cord."
    )


def _libraries(versions: Mapping[str, str]) -> str:
    return (
        f"PyTorch ({_with(versions, 'torch')}) and MONAI [@cardoso2022monai] "
        f"({_with(versions, 'monai')})"
    )


def _software(config: Any, versions: Mapping[str, str]) -> str:
    return (
        f"Python {versions.get('python', 'version unknown')}, NumPy "
        f"({_with(versions, 'numpy')}), SciPy ({_with(versions, 'scipy')}) and NiBabel "
        f"({_with(versions, 'nibabel')}) were used throughout. The random seed was "
        f"{config.random_seed}. MSMorph is for research use only."
    )


@lru_cache(maxsize=1)
def bibliography() -> dict[str, dict[str, str]]:
    """Return key -> fields of every entry; ``raw`` holds the entry as it stands in the file."""
    text = _FILE.read_text(encoding="utf-8")
    found = {}
    for match in _ENTRY.finditer(text):
        fields = {name: _plain(value) for name, value in _FIELD.findall(match[3])}
        found[match[2]] = fields | {"raw": match[0]}
    return found


def _plain(value: str) -> str:
    """Turn a BibTeX value into plain text."""
    for tex, letter in _ACCENTS.items():
        value = value.replace(tex, letter)
    return value.replace("{", "").replace("}", "").replace("--", "-")


def cited(parts: Paragraphs) -> list[str]:
    """Return the keys cited, in the order of author and year."""
    keys = {key for _, text in parts for key in _keys_of(text)}
    return sorted(
        keys, key=lambda key: (bibliography()[key]["author"], bibliography()[key]["year"])
    )


def _keys_of(text: str) -> list[str]:
    groups = [found[1] for found in _CITATION.finditer(text)]
    return [key.strip().lstrip("@") for group in groups for key in group.split(";")]


def author_year(key: str) -> str:
    """Return ``Dwyer et al., 2021`` for a key."""
    entry = bibliography()[key]
    names = [name.split(",")[0] for name in entry["author"].split(" and ")]
    who = {1: names[0], 2: " and ".join(names)}.get(len(names), f"{names[0]} et al.")
    return f"{who}, {entry['year']}"


def reference(key: str) -> str:
    """Return the full reference of a key in plain text, without its link."""
    entry = bibliography()[key]
    names = [n.replace("others", "et al.") for n in entry["author"].split(" and ")]
    where = entry.get("journal") or entry.get("booktitle", "")
    volume = entry.get("volume", "") + (f"({entry['number']})" if "number" in entry else "")
    places = ", ".join(p for p in (where, volume, entry.get("pages", "")) if p)
    return f"{'; '.join(names)} ({entry['year']}). {entry['title']}. {places}."


def link(key: str) -> str:
    """Return the DOI of a key as a URL."""
    return f"https://doi.org/{bibliography()[key]['doi']}"


def to_markdown(parts: Paragraphs) -> str:
    """Return the text and its references as Markdown."""

    def cite(found: re.Match) -> str:
        return f"({'; '.join(author_year(key) for key in _keys_of(found[0]))})"

    lines = ["# Methods", "", f"*{NOTICE}*", ""]
    for heading, text in parts:
        lines += [f"## {heading}", ""] if heading else []
        lines += [_CITATION.sub(cite, text), ""]
    lines += ["## References", ""]
    lines += [f"- {reference(key)} <{link(key)}>" for key in cited(parts)]
    return "\n".join(lines) + "\n"


def to_html(parts: Paragraphs, level: int = 2) -> str:
    """Return the text and its references as a fragment of HTML; headings start at ``level``."""

    def cite(found: re.Match) -> str:
        links = [
            f'<a href="#ref-{key}">{escape(author_year(key))}</a>' for key in _keys_of(found[0])
        ]
        return f"({'; '.join(links)})"

    lines = [f"<p><em>{escape(NOTICE)}</em></p>"]
    for heading, text in parts:
        if heading:
            lines.append(f"<h{level}>{escape(heading)}</h{level}>")
        lines.append(f"<p>{_CITATION.sub(cite, escape(text, quote=False))}</p>")
    lines += [f"<h{level}>References</h{level}>", '<ul class="references">']
    for key in cited(parts):
        where = link(key)
        lines.append(
            f'<li id="ref-{key}">{escape(reference(key))} <a href="{where}">{where}</a></li>'
        )
    return "\n".join([*lines, "</ul>"]) + "\n"


def to_tex(parts: Paragraphs) -> str:
    """Return a LaTeX document that takes its references from CITATION.bib."""
    lines = [
        r"\documentclass{article}", r"\usepackage[utf8]{inputenc}", r"\usepackage{hyperref}",
        r"\begin{document}", r"\section*{Methods}", rf"\emph{{{NOTICE}}}", "",
    ]  # fmt: skip
    for heading, text in parts:
        lines += [rf"\subsection*{{{_tex(heading)}}}"] if heading else []
        pieces, end = [], 0
        for found in _CITATION.finditer(text):
            keys = ",".join(_keys_of(found[0]))
            pieces += [_tex(text[end : found.start()]), rf"\cite{{{keys}}}"]
            end = found.end()
        lines += ["".join([*pieces, _tex(text[end:])]), ""]
    lines += [r"\bibliographystyle{plain}", r"\bibliography{CITATION}", r"\end{document}"]
    return "\n".join(lines) + "\n"


def _tex(text: str) -> str:
    return "".join(_TEX_SPECIAL.get(letter, letter) for letter in text)


def write_boilerplate(config: Any, log_dir: str | Path | None = None) -> dict[str, Path]:
    """Write CITATION.md, .html, .tex and .bib into ``log_dir`` (default ``config.log_dir``).

    Returns extension -> path.
    """
    parts = methods(config)
    folder = Path(log_dir or config.log_dir)
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>MSMorph: methods'
        f"</title></head>\n<body>\n<h1>Methods</h1>\n{to_html(parts)}</body>\n</html>\n"
    )
    texts = {
        "md": to_markdown(parts),
        "html": page,
        "tex": to_tex(parts),
        "bib": "\n\n".join(bibliography()[key]["raw"] for key in cited(parts)) + "\n",
    }
    return {
        kind: atomic_write_text(folder / f"CITATION.{kind}", text) for kind, text in texts.items()
    }
