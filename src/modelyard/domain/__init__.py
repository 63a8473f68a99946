"""What the platform talks about: pure types, no I/O, no torch."""
