"""The ways of training a group of runs."""
