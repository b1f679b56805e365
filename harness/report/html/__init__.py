"""One self-contained HTML page: verdict, tables, plots, costs, and every example to browse."""

from warmup_bench.report.html.page import render_html

__all__ = ["render_html"]
