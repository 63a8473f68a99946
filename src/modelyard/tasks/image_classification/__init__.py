"""The task `image-classification`. Importing this package loads no torch: `inspect_main` relies on it."""
