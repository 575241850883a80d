"""Methods paragraph to paste into a manuscript, with citations and the licence of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellsam_core.models import SHIPPED, backend_of
from cellsam_core.reporting.page import Section
from cellsam_core.reporting.sections.stains import preprocessing_record, stain_words

if TYPE_CHECKING:
    from cellsam_core.reporting.results import Results

CELLSAM = "Marks, Israel et al., Nature Methods 2025, doi:10.1038/s41592-025-02879-w"
PAPERS = {
    "cellpose": "Stringer et al., Nature Methods 2021, doi:10.1038/s41592-020-01018-x",
    "instanseg": "Goldsborough et al., bioRxiv 2024, doi:10.1101/2024.09.04.611150",
    "stardist": "Schmidt et al., MICCAI 2018, doi:10.1007/978-3-030-00934-2_30",
}
LINKING = (
    "Bochinski et al., AVSS 2017, doi:10.1109/AVSS.2017.8078516",
    "Jaqaman et al., Nature Methods 2008, doi:10.1038/nmeth.1237",
)


def methods_section(results: Results, provenance: dict[str, Any]) -> Section:
    """Make the section: what was done, in sentences with the values that were in force."""
    section = Section("Methods to paste")
    version = provenance["packages"]["cellsam_core"]
    sentences = [f"Images were analysed with cellsam_core {version}.", *_images(results)]
    sentences += _segmentation(provenance["segmentation"])
    sentences += _movie(provenance) if results.is_movie else _tissue(results)
    section.paragraphs.append(" ".join(sentences))
    references = _references(results, provenance["segmentation"])
    section.paragraphs.append("References: " + "; ".join(references) + ".")
    weights = provenance["segmentation"].get("weights")
    if weights:
        words = licence_words(provenance["segmentation"])
        section.paragraphs.append(f"Weights {weights}: {words}")
    return section


def _images(results: Results) -> list[str]:
    record = preprocessing_record(results)
    said = [f"Segmented stain: {stain_words(results)}."]
    if "clip_percentile" in record:
        clip = f"Grey values were clipped at the {record['clip_percentile']:g}th percentile"
        limit = record.get("clahe_clip_limit")
        clahe = f"equalised (CLAHE, clip limit {limit:g})" if limit else "not equalised (no CLAHE)"
        said.append(f"{clip} and {clahe}.")
    scale = results.manifest.pixel_size_um
    if scale:
        said.append(f"One pixel is {scale:.4g} µm wide.")
    return said


def _segmentation(recorded: dict[str, Any]) -> list[str]:
    if "weights" not in recorded:
        return []
    by = (
        f"{recorded['package']} (a model of another package)" if is_foreign(recorded) else "CellSAM"
    )
    said = f"Cells were segmented by {by} with the weights {recorded['weights']}"
    if "sha256" in recorded:
        said += f" (SHA-256 {str(recorded['sha256'])[:12]}...)"
    if "cell_diameter_px" in recorded:
        said += f", searched with a cell diameter of {recorded['cell_diameter_px']:.3g} px"
    if "score_threshold" in recorded:
        said += f" and kept from a detection score of {recorded['score_threshold']:g}"
    return [f"{said}."]


def _movie(provenance: dict[str, Any]) -> list[str]:
    options = provenance["config"].get("track", {})
    said = "Cells were linked by overlap in a global assignment, after correction for stage drift"
    if "sigma_iou" in options:
        said += f" (least overlap {options['sigma_iou']:g})"
    return [f"{said}; gaps were closed, and divisions were found from overlap and areas."]


def _tissue(results: Results) -> list[str]:
    source = results.manifest.transcripts
    n = "" if source is None else f" ({source.n_rows} rows)"
    return [f"Each transcript{n} was given to the cell whose outline holds it."]


def _references(results: Results, recorded: dict[str, Any]) -> list[str]:
    backend = backend_of(str(recorded.get("weights", "")))
    segmenter = PAPERS[backend.package] if backend else CELLSAM
    return [segmenter, *(LINKING if results.is_movie else ())]


def is_foreign(recorded: dict[str, Any]) -> bool:
    """Tell whether another package made the masks, from their record."""
    return "package" in recorded


def licence_words(recorded: dict[str, Any]) -> str:
    """Tell the licence of the weights in a sentence.

    Parameters
    ----------
    recorded
        Record of the masks. Only the published weights have a preset.
    """
    if is_foreign(recorded):
        return f"a model of {recorded['package']}; licence of the model: {recorded['licence']}."
    if "preset" in recorded:
        return "the published CellSAM weights, for non-commercial, academic use only."
    if recorded["weights"] in SHIPPED:
        return "part of cellsam_core, BSD-3-Clause."
    return "weights of your own; their licence is that of the weights that they were trained from."
