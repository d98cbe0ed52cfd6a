"""An evaluation as a page to look at: figures, what they say, samples, how training went."""

from kgan.report.page import write_report
from kgan.report.verdict import Finding, verdict

__all__ = ["Finding", "verdict", "write_report"]
