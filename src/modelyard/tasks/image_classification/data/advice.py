"""The warnings of a dataset report, as sentences that say what to do."""

from collections.abc import Callable, Sequence

from modelyard.tasks.image_classification.data.report import DatasetReport

_IMBALANCED = 10
_STRETCHED = 1.5
_FEW = 10


def advise(report: DatasetReport) -> list[str]:
    """Return everything about a data set that training would not stop at but a person should look at."""
    return [sentence for rule in _RULES if (sentence := rule(report))]


def _leaks(report: DatasetReport) -> str:
    count = report.duplicates.across_splits
    if not count:
        return ""
    return (
        f"{count} image(s) of val or test have the same pixels as one of an earlier split, so the metrics look "
        "better than they are; remove the copies."
    )


def _contradictions(report: DatasetReport) -> str:
    count = report.duplicates.contradictory
    return f"{count} group(s) of equal images are labelled with different classes; correct the labels." if count else ""


def _copies(report: DatasetReport) -> str:
    count = report.duplicates.within_splits
    return f"{count} image(s) are copies of another one in the same split; they count more than once." if count else ""


def _imbalance(report: DatasetReport) -> str:
    if report.imbalance is None or report.imbalance < _IMBALANCED:
        return ""
    return (
        f"The largest class has {report.imbalance:g} times the training images of the smallest; consider class weights "
        "(loss.class_weights: balanced) or data.max_per_class."
    )


def _small_classes(report: DatasetReport) -> str:
    small = [name for name, count in report.splits["train"].per_class.items() if 0 < count < _FEW]
    return f"Fewer than {_FEW} training images: {_names(small)}." if small else ""


def _empty_classes(report: DatasetReport) -> str:
    missing = [
        f"{key} has no image of {_names(names)}" for key, names in report.empty_classes.items() if key != "train"
    ]
    return f"{'; '.join(missing)}: metrics say nothing about these classes." if missing else ""


def _no_validation(report: DatasetReport) -> str:
    opened = report.fingerprint is not None  # else the splits are those of the source, with nothing drawn yet
    if not opened or (report.splits.get("val") and report.splits["val"].count):
        return ""
    return "There is no validation split: set data.val_fraction, or nothing tells the best checkpoint from the last."


def _stretched(report: DatasetReport) -> str:
    if report.width is None or report.height is None:
        return ""
    width, height = report.width.median, report.height.median
    if max(width / height, height / width) < _STRETCHED:
        return ""
    return f"Images are typically {width:g} x {height:g} pixels and are resized to a square; crop them if that hurts."


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown


_RULES: tuple[Callable[[DatasetReport], str], ...] = (
    _leaks,
    _contradictions,
    _copies,
    _imbalance,
    _small_classes,
    _empty_classes,
    _no_validation,
    _stretched,
)
