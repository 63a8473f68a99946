"""Reports: experiments and runs in one document, to mail to a colleague or to put beside a paper."""

from modelyard.api.report.collect import collect_report
from modelyard.api.report.html import report_html
from modelyard.api.report.model import Report
from modelyard.api.report.writing import check_writable, write_report

__all__ = ["Report", "check_writable", "collect_report", "report_html", "write_report"]
