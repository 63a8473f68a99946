"""Code of the user's own: loaded from its snapshot, called with its params, its mistakes told with file and line."""

from modelyard.tasks.usercode.calling import RAISED, Signature, check_signatures, explained, instantiate, noted
from modelyard.tasks.usercode.loading import load_entry, read_code

__all__ = ["RAISED", "Signature", "check_signatures", "explained", "instantiate", "load_entry", "noted", "read_code"]
