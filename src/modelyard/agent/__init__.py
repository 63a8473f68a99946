"""Supervises engine processes on this machine's devices."""
