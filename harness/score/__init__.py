"""Metrics: per-example statistics, their aggregation into a score, and a signature. One module a metric."""
