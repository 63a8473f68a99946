"""How everything is kept: tables, events, metrics, logs and blobs."""
