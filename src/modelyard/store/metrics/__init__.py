"""Metric series: a hot tail, sealed chunks, and a pyramid for charts (see ``sealing`` for how they hang together)."""

from modelyard.store.metrics.appending import append, copy, rewind, seal
from modelyard.store.metrics.reading import Metrics
from modelyard.store.metrics.series import Arrived, ChartSeries, Extreme, Series

__all__ = ["Arrived", "ChartSeries", "Extreme", "Metrics", "Series", "append", "copy", "rewind", "seal"]
