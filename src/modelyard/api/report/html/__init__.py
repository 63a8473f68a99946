"""Draws a report as one HTML page."""

from modelyard.api.report.html.page import report_html

__all__ = ["report_html"]
