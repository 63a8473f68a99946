"""The parts of a run's config, one file per kind. Pure pydantic: builders are in ``modelyard.tasks``."""
