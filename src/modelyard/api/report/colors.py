"""The colour and the dash of a run: the same in every report and for ever, so that a reader can rely on them."""

import re
import zlib

from modelyard.domain.run import Run

COLORS = 8
DASHES = 4


def color_and_dash(run: Run) -> tuple[int, int]:
    """Return the run's places in the palette and among the dashes.

    Both follow from the run's number in its experiment: 32 neighbours differ in one or the other, and runs next to
    each other in both, also for those who cannot tell the colours apart.
    """
    found = re.search(r"-(\d+)$", run.name)
    number = int(found.group(1)) - 1 if found else zlib.crc32(run.id.encode())
    color = (number + zlib.crc32(run.experiment_id.encode())) % COLORS
    return color, (number + number // COLORS) % DASHES
