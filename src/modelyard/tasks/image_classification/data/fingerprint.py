"""The identity of what a run could see of its data."""

from collections.abc import Mapping, Sequence

from modelyard.tasks.image_classification.data.hashing import Hasher
from modelyard.tasks.image_classification.data.source import SPLITS, SplitKey
from modelyard.tasks.image_classification.data.split import Split


def fingerprint(classes: Sequence[str], splits: Mapping[SplitKey, Split]) -> str:
    """Return the SHA-256 (hex) over the classes and every split's labels, names and contents, in order.

    Equal on every machine for equal content: names are relative, times do not count, and neither does preprocessing,
    so the number that ``datasets inspect`` prints is the one that runs keep. Reads every file once.
    Raises ``DataError`` for a file that cannot be read.
    """
    hasher = Hasher()
    hasher.add(len(classes).to_bytes(8, "little"))
    hasher.add_all(classes)
    for key in SPLITS:
        hasher.add(key, len(splits[key]).to_bytes(8, "little"))
        if len(splits[key]):
            splits[key].hash_into(hasher)
    return hasher.hexdigest()
