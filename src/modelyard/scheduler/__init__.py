"""What runs where. Pure decisions, no I/O."""
