"""One tree of errors; each class has the exit code that the command line ends with.

ModelyardError                    1  anything below, or a failure that has no class of its own
├── UserError                     2  the input is wrong: a config, a file, an argument
│   ├── ConfigError               2  a config is invalid; names the field, file and line
│   ├── DataError                 2  a data set cannot be used; names the file or class
│   └── MissingExtraError         2  the command needs an extra that is not installed
├── NotFoundError                 3  no such run, experiment, checkpoint or blob
├── ConflictError                 4  the state does not allow it (a finished run cannot be paused)
│   └── FencedError               4  this process no longer owns the run it writes to
├── RunFailedError                5  at least one run failed; the command itself worked
│   └── SearchFailedError         5  a search had nothing to decide by
├── StoreError                    6  the home folder cannot be used
│   ├── SchemaVersionError        6  the home was written by a newer Modelyard
│   ├── StorageFullError          6  the disk is full
│   └── CorruptBlobError          6  stored bytes do not match their digest
└── TrainingError                 5  one run cannot go on
    ├── NonFiniteLossError        5  the loss became NaN or infinite
    └── OutOfMemoryError          5  the run does not fit the device
"""


class ModelyardError(Exception):
    """Root of every error that Modelyard raises on purpose. The message says what to do next."""

    exit_code = 1


class UserError(ModelyardError):
    """The input is wrong; the message names it and the fix."""

    exit_code = 2


class ConfigError(UserError):
    """A config is invalid. The message has one line per problem, with file and line where known."""


class DataError(UserError):
    """A data set cannot be used. The message names the file, class or label."""


class MissingExtraError(UserError):
    """A command needs an optional dependency; the message has the one line that installs it."""


class NotFoundError(ModelyardError):
    """No such run, experiment, checkpoint or blob."""

    exit_code = 3


class ConflictError(ModelyardError):
    """The current state does not allow the request, or somebody else changed it first."""

    exit_code = 4


class FencedError(ConflictError):
    """The writer's lease was taken over; it must stop writing to the run at once."""


class RunFailedError(ModelyardError):
    """The command worked, but a run failed, or a search as a whole."""

    exit_code = 5


class SearchFailedError(RunFailedError):
    """The command worked, but what the search goes by was not reported."""


class StoreError(ModelyardError):
    """The home folder or its database cannot be used."""

    exit_code = 6


class SchemaVersionError(StoreError):
    """The home was written by a newer Modelyard; nothing was changed."""


class StorageFullError(StoreError):
    """The disk (or a quota) is full; what was being written was rolled back."""


class CorruptBlobError(StoreError):
    """Stored bytes do not match their digest."""

    def __init__(self, digest: str, message: str) -> None:
        super().__init__(message)
        self.digest = digest


class TrainingError(ModelyardError):
    """One run cannot go on; the others are not affected."""

    exit_code = 5


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite at ``step``."""

    def __init__(self, step: int, message: str) -> None:
        super().__init__(message)
        self.step = step


class OutOfMemoryError(TrainingError):
    """The run does not fit the memory of its device."""


def rebuild(kind: str, message: str) -> ModelyardError:
    """Return an error that a child process told about: of the same class, so that its exit code stays."""
    if kind == CorruptBlobError.__name__:
        return CorruptBlobError("", message)
    found = globals().get(kind)
    if isinstance(found, type) and issubclass(found, ModelyardError):
        return found(message)
    return ModelyardError(message)
