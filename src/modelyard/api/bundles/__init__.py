"""Bundles: an experiment, or one run of it, as a file that another home can take in."""

from modelyard.api.bundles.exporting import Exported, export_bundle, write_bundle
from modelyard.api.bundles.importing import Imported, import_bundle
from modelyard.store.bundles import Kept

__all__ = ["Exported", "Imported", "Kept", "export_bundle", "import_bundle", "write_bundle"]
