"""A function of the user's own that returns a ``transformers.Trainer``."""
