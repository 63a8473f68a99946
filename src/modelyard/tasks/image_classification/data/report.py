"""What ``inspect`` finds out about a data set."""

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SplitReport(_Part):
    """One split as training would see it."""

    count: int
    """Number of samples."""
    per_class: dict[str, int]
    """Samples of each class, in label order."""
    drawn: bool
    """Whether the samples were drawn from the training data, rather than being a split of the source itself."""


class Spread(_Part):
    """Smallest, median and largest value."""

    min: float
    median: float
    max: float


class CorruptImage(_Part):
    """An image that cannot be decoded."""

    name: str
    reason: str


class DuplicateGroup(_Part):
    """Images whose decoded pixels are equal."""

    images: list[str]
    """Split, name: ``train: cat/1.png``."""
    splits: list[str]
    """The splits that the images are in."""
    classes: list[str]
    """The classes that they are labelled with; more than one is a contradiction."""


class Duplicates(_Part):
    """Counts over all groups; ``groups`` lists the first of them, those across splits first."""

    within_splits: int
    """Copies that a split has beside the first one."""
    across_splits: int
    """Images of val or test whose pixels an earlier split (train, then val) has too."""
    contradictory: int
    """Groups that are labelled with more than one class."""
    groups: list[DuplicateGroup]


class DatasetReport(_Part):
    """The result of ``inspect``; JSON by ``model_dump(mode="json")``."""

    source: str
    path: str | None
    classes: list[str]
    splits: dict[str, SplitReport]
    width: Spread | None
    """Pixels, over all images that could be decoded."""
    height: Spread | None
    """Pixels, over all images that could be decoded."""
    modes: dict[str, int]
    """Number of images of each Pillow mode (L, RGB, RGBA, P, I;16, ...)."""
    duplicates: Duplicates
    corrupt: list[CorruptImage]
    """Every image that cannot be decoded, by name."""
    ignored: dict[str, int]
    """Files that were left out, by kind."""
    imbalance: float | None
    """Largest class of train divided by its smallest."""
    empty_classes: dict[str, list[str]]
    """For each split, the classes that it has no sample of."""
    preprocessing: dict[str, int | list[float]] | None
    """What training uses unless a pretrained model asks for something else."""
    fingerprint: str | None
    """What runs keep; None if the data cannot be opened."""
    errors: list[str]
    """What stops training."""
    warnings: list[str]
    """What training does not stop at, but a person should look at."""
    notes: list[str]
    """How the source was read."""
