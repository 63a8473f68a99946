"""Image data for classification: sources, splits, decoding, cache, inspection. Loads no torch."""

from modelyard.tasks.image_classification.data.cache import SampleCache
from modelyard.tasks.image_classification.data.image_data import ImageData, open_data
from modelyard.tasks.image_classification.data.inspect import inspect
from modelyard.tasks.image_classification.data.report import DatasetReport
from modelyard.tasks.image_classification.data.split import Split

__all__ = ["DatasetReport", "ImageData", "SampleCache", "Split", "inspect", "open_data"]
