"""Runs a ``transformers.Trainer`` in slices: its own loop, one optimizer step at a time under the engine's control."""
