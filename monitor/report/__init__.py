"""A self-contained HTML report of a run."""

from monitor.report.data import Approved, Lane, Minute, ReportData, Rule, Totals
from monitor.report.page import render

__all__ = ["Approved", "Lane", "Minute", "ReportData", "Rule", "Totals", "render"]
