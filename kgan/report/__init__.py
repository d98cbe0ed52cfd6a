"""Reports: the results of an evaluation as a page, with pictures and how training went."""

from kgan.report.card import write_card
from kgan.report.completions import Completions, completions
from kgan.report.findings import Finding
from kgan.report.latent_space import LatentSpace, interpolation, latent_space, path_names
from kgan.report.page import write_report
from kgan.report.verdict import verdict

__all__ = [
    "Completions",
    "Finding",
    "LatentSpace",
    "completions",
    "interpolation",
    "latent_space",
    "path_names",
    "verdict",
    "write_card",
    "write_report",
]
