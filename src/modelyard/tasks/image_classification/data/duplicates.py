"""Finds images whose decoded pixels are equal, within a split and across splits."""

from collections.abc import Sequence

from modelyard.tasks.image_classification.data.measure import Measured
from modelyard.tasks.image_classification.data.report import DuplicateGroup, Duplicates

GROUPS_LISTED = 50
IMAGES_LISTED = 10


def find_duplicates(measured: Sequence[Measured], classes: Sequence[str]) -> Duplicates:
    """Group equal images. ``measured`` has train before val before test."""
    by_digest: dict[bytes, list[Measured]] = {}
    for image in measured:
        if image.digest:
            by_digest.setdefault(image.digest, []).append(image)
    groups = [group for group in by_digest.values() if len(group) > 1]
    groups.sort(key=lambda group: len({image.split for image in group}) == 1)
    return Duplicates(
        within_splits=sum(len(group) - len({image.split for image in group}) for group in groups),
        across_splits=sum(sum(image.split != group[0].split for image in group) for group in groups),
        contradictory=sum(len({image.label for image in group}) > 1 for group in groups),
        groups=[_describe(group, classes) for group in groups[:GROUPS_LISTED]],
    )


def _describe(group: Sequence[Measured], classes: Sequence[str]) -> DuplicateGroup:
    return DuplicateGroup(
        images=[f"{image.split}: {image.name}" for image in group[:IMAGES_LISTED]],
        splits=list(dict.fromkeys(image.split for image in group)),
        classes=[classes[label] for label in dict.fromkeys(image.label for image in group) if label >= 0],
    )
