"""Every table of the store. ``migrations/`` creates them; a test holds the two together.

Public ids are random hex text; rows of other tables name a run by its integer ``key``, so that they stay narrow.
Deleting a run cascades to everything it owns. Events are kept: they are the audit trail.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# SQLite counts rows by itself only where the type is literally INTEGER.
Key = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """A moment as whole microseconds since 1970 (UTC): exact, sortable, and the same in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Turn an aware datetime into microseconds."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Turn microseconds into an aware datetime."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


def _run(**options: Any) -> Column[int]:
    return Column("run_key", Key, ForeignKey("runs.key", ondelete="CASCADE"), nullable=False, **options)


def _series(**options: Any) -> Column[int]:
    return Column("series", Key, ForeignKey("series.id", ondelete="CASCADE"), nullable=False, **options)


experiments = Table(
    "experiments",
    metadata,
    Column("key", Key, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("project", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("sweep", Text, nullable=False),
    Column("sweep_hash", Text, nullable=False),
    Column("last_number", Integer, nullable=False),  # the highest run number ever given; numbers are not reused
    Column("last_trial", Integer, nullable=False, server_default="0"),  # of its search: a missing trial was deleted
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("project", "name"),
    sqlite_autoincrement=True,
)

runs = Table(
    "runs",
    metadata,
    Column("key", Key, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("experiment_key", Key, ForeignKey("experiments.key"), nullable=False, index=True),
    Column("project", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason_code", Text, nullable=False),
    Column("reason_message", Text, nullable=False),
    Column("notice", Text, nullable=False, server_default=""),  # what a run in training waits for
    Column("priority", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),  # processes lost in a row without a new checkpoint
    Column("attempt", Integer, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("total_steps", BigInteger),
    Column("epoch", Integer, nullable=False),
    Column("total_epochs", Integer),  # as the engine counts them; null until it has opened the run
    Column("worker_id", Text, index=True),  # the owner and its fencing token, both only in an active state
    Column("token", BigInteger),
    Column("parent_id", Text),
    Column("warm_start", Text),
    Column("inherit_optimizer", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("fingerprints", Text, nullable=False),
    Column("summary", Text, nullable=False),  # JSON, metric to last value: a list of runs needs no other table
    Column("spec", Text, nullable=False),
    Column("spec_hash", Text, nullable=False),
    Column("structure", Text, nullable=False, server_default=""),  # equal where runs can train as one model
    Column("execution", Text, nullable=False, server_default=""),  # how it trains, or trained last
    Column("stack_size", Integer, nullable=False, server_default="1"),
    Column("stack_gain", Float),  # measured, against taking turns
    Column("trial", Integer),  # its number in the search that made it
    Column("until_epoch", Integer),  # where it pauses by itself, for the search to decide about it
    Column("forked", Boolean, nullable=False, server_default=false()),  # goes on from warm_start with all its state
    Column("scored", Boolean, nullable=False, server_default=false()),  # keeps the score of each validation sample
    Column("past", Text, nullable=False, server_default=""),  # equal where runs may begin with the same steps
    Column("follows", Text),  # id of the run that trains its first steps, while it waits for that
    Column("fork_step", BigInteger),  # how many those are at the most
    Column("shared_steps", BigInteger, nullable=False, server_default="0"),  # first steps that another run trained
    Column("shared_with", Text, nullable=False, server_default=""),  # that run's name
    UniqueConstraint("project", "name"),
    Index("ix_runs_trial", "experiment_key", "trial", unique=True),
    Index("ix_runs_queue", "state", "priority", "key"),
    sqlite_autoincrement=True,
)

# What a search was told, in order: its decisions follow from its config and this.
search_log = Table(
    "search_log",
    metadata,
    Column(
        "experiment_key",
        Key,
        ForeignKey("experiments.key", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("number", Integer, primary_key=True, autoincrement=False),  # 1, 2, ... in each experiment
    Column("entry", Text, nullable=False),
)

# Every validation in full: series are thinned, and a search must not decide on what is left of them.
evaluations = Table(
    "evaluations",
    metadata,
    _run(primary_key=True, autoincrement=False),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("step", BigInteger, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("scores", LargeBinary, nullable=False),  # of each sample, packed; empty where nobody asked for them
)

attempts = Table(
    "attempts",
    metadata,
    Column("token", Key, primary_key=True),  # the fencing token: grows with every claim of any run
    _run(),
    Column("number", Integer, nullable=False),  # 1, 2, ... in each run
    Column("start_step", BigInteger),  # null until the engine has loaded the run; points may only follow that
    Column("worker_id", Text, nullable=False),
    Column("claimed_at", UtcTime, nullable=False),
    Column("begun_at", UtcTime),
    Column("ended_at", UtcTime),
    UniqueConstraint("run_key", "number"),
    sqlite_autoincrement=True,
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_start", Text, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("crash_message", Text, nullable=False),
    Column("agent_id", Text),  # the worker that started this one
    Column("started_at", UtcTime, nullable=False),
)

control_ops = Table(
    "control_ops",
    metadata,
    Column("id", Key, primary_key=True),
    _run(),
    Column("op", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("requested_at", UtcTime, nullable=False),
    Column("acknowledged_at", UtcTime),
    Column("applied_step", BigInteger),
    Column("message", Text, nullable=False),
    Column("number", BigInteger),  # of an imported one: what checkpoints of its run call it, in place of the id
    Index("ix_control_ops_run_key_status", "run_key", "status"),
    sqlite_autoincrement=True,
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("key", Key, primary_key=True),
    Column("id", Text, nullable=False, index=True),
    _run(),  # the owner of this record
    Column("run_id", Text, nullable=False),  # the run that saved it
    Column("borrowed", Boolean, nullable=False),  # a clone's own copy of the record of its warm start
    Column("attempt", Integer, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("files", Text, nullable=False),  # JSON: name to [digest, size]
    Column("metrics", Text, nullable=False),
    Column("last", Boolean, nullable=False),
    Column("best", Boolean, nullable=False),
    Column("resumable", Boolean, nullable=False),
    Column("corrupt", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("run_key", "id"),
    sqlite_autoincrement=True,
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("key", Key, primary_key=True),
    _run(),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("run_key", "name", "step"),
    sqlite_autoincrement=True,
)

blob_refs = Table(
    "blob_refs",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("owner_kind", Text, primary_key=True),  # "checkpoint", "artifact" or "code"
    Column("owner_id", Key, primary_key=True, autoincrement=False),  # the owner's key
    Column("size", BigInteger, nullable=False),
    _run(index=True),
    Index("ix_blob_refs_owner", "owner_kind", "owner_id"),
)

# What a live process has written and not yet recorded; collected with the process (see processes.py).
blob_pins = Table(
    "blob_pins",
    metadata,
    Column("id", Key, primary_key=True),
    Column("digest", Text, nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("host", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_start", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", Key, primary_key=True),
    Column("time", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("experiment_id", Text),
    Column("run_id", Text),
    Column("type", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Index("ix_events_run_id_seq", "run_id", "seq"),
    Index("ix_events_experiment_id_seq", "experiment_id", "seq"),
    sqlite_autoincrement=True,
)

# One metric of one run, with the summary of its effective history (see metrics/) and what the sealer needs.
series = Table(
    "series",
    metadata,
    Column("id", Key, primary_key=True),
    _run(),
    Column("name", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("first_step", BigInteger),
    Column("last_step", BigInteger),
    Column("last", Double),  # SQLite stores NaN as NULL
    Column("min", Double),
    Column("max", Double),
    Column("attempt", Integer, nullable=False),  # of the newest point
    Column("prior_step", BigInteger),  # the last step that counts of an earlier attempt
    Column("next_ordinal", BigInteger, nullable=False),  # points ever appended
    Column("tail_count", Integer, nullable=False),
    Column("base_level", Integer),  # finest and coarsest level of the pyramid, null while there is none
    Column("top_level", Integer),
    UniqueConstraint("run_key", "name"),
    sqlite_autoincrement=True,
)

# New points until they are packed into a chunk: one row for what one append brought to one series.
metric_tail = Table(
    "metric_tail",
    metadata,
    _series(primary_key=True, autoincrement=False),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),  # of its first point
    Column("points", LargeBinary, nullable=False),
)

metric_chunks = Table(
    "metric_chunks",
    metadata,
    _series(primary_key=True, autoincrement=False),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),  # of its first point
    Column("count", Integer, nullable=False),
    Column("first_step", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("points", LargeBinary, nullable=False),
)

metric_pyramid = Table(
    "metric_pyramid",
    metadata,
    _series(primary_key=True, autoincrement=False),
    Column("level", Integer, primary_key=True, autoincrement=False),  # a bucket covers 2**level steps
    Column("part", BigInteger, primary_key=True, autoincrement=False),
    Column("buckets", LargeBinary, nullable=False),
)

# Views of a project's boards that somebody named.
saved_views = Table(
    "saved_views",
    metadata,
    Column("project", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("search", Text, nullable=False),  # JSON: what the page's address says
    Column("saved_by", Text, nullable=False),
    Column("saved_at", UtcTime, nullable=False),
)

log_lines = Table(
    "log_lines",
    metadata,
    _run(primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt", Integer, nullable=False),
    Column("time", UtcTime, nullable=False),
    Column("text", Text, nullable=False),
    sqlite_with_rowid=False,
)
