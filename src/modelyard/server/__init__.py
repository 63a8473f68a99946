"""The server: a thin layer of HTTP over the store and ``modelyard.api``. It never imports torch."""
