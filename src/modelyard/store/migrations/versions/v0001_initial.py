"""The first schema.

Revision 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "blob_pins",
        sa.Column("id", _key, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_start", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blob_pins")),
    )
    op.create_index(op.f("ix_blob_pins_digest"), "blob_pins", ["digest"], unique=False)
    op.create_table(
        "events",
        sa.Column("seq", _key, nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("experiment_id", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_experiment_id_seq", "events", ["experiment_id", "seq"], unique=False)
    op.create_index("ix_events_run_id_seq", "events", ["run_id", "seq"], unique=False)
    op.create_table(
        "experiments",
        sa.Column("key", _key, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sweep", sa.Text(), nullable=False),
        sa.Column("sweep_hash", sa.Text(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_experiments")),
        sa.UniqueConstraint("id", name=op.f("uq_experiments_id")),
        sa.UniqueConstraint("project", "name", name=op.f("uq_experiments_project_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_start", sa.Text(), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("crash_message", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_table(
        "runs",
        sa.Column("key", _key, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("experiment_key", _key, nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=False),
        sa.Column("reason_message", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("total_steps", sa.BigInteger(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=True),
        sa.Column("parent_id", sa.Text(), nullable=True),
        sa.Column("warm_start", sa.Text(), nullable=True),
        sa.Column("inherit_optimizer", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("fingerprints", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("spec_hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_key"], ["experiments.key"], name=op.f("fk_runs_experiment_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_runs")),
        sa.UniqueConstraint("id", name=op.f("uq_runs_id")),
        sa.UniqueConstraint("project", "name", name=op.f("uq_runs_project_name")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_runs_experiment_key"), "runs", ["experiment_key"], unique=False)
    op.create_index("ix_runs_queue", "runs", ["state", "priority", "key"], unique=False)
    op.create_index(op.f("ix_runs_worker_id"), "runs", ["worker_id"], unique=False)
    op.create_table(
        "artifacts",
        sa.Column("key", _key, nullable=False),
        sa.Column("run_key", _key, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_key"], ["runs.key"], name=op.f("fk_artifacts_run_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_artifacts")),
        sa.UniqueConstraint("run_key", "name", name=op.f("uq_artifacts_run_key_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "attempts",
        sa.Column("token", _key, nullable=False),
        sa.Column("run_key", _key, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("start_step", sa.BigInteger(), nullable=True),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["run_key"], ["runs.key"], name=op.f("fk_attempts_run_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_attempts")),
        sa.UniqueConstraint("run_key", "number", name=op.f("uq_attempts_run_key_number")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "blob_refs",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("owner_kind", sa.Text(), nullable=False),
        sa.Column("owner_id", _key, autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("run_key", _key, nullable=False),
        sa.ForeignKeyConstraint(["run_key"], ["runs.key"], name=op.f("fk_blob_refs_run_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", "owner_kind", "owner_id", name=op.f("pk_blob_refs")),
    )
    op.create_index("ix_blob_refs_owner", "blob_refs", ["owner_kind", "owner_id"], unique=False)
    op.create_index(op.f("ix_blob_refs_run_key"), "blob_refs", ["run_key"], unique=False)
    op.create_table(
        "checkpoints",
        sa.Column("key", _key, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_key", _key, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("borrowed", sa.Boolean(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("last", sa.Boolean(), nullable=False),
        sa.Column("best", sa.Boolean(), nullable=False),
        sa.Column("resumable", sa.Boolean(), nullable=False),
        sa.Column("corrupt", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_key"], ["runs.key"], name=op.f("fk_checkpoints_run_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_checkpoints")),
        sa.UniqueConstraint("run_key", "id", name=op.f("uq_checkpoints_run_key_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_checkpoints_id"), "checkpoints", ["id"], unique=False)
    op.create_table(
        "control_ops",
        sa.Column("id", _key, nullable=False),
        sa.Column("run_key", _key, nullable=False),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("applied_step", sa.BigInteger(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_key"], ["runs.key"], name=op.f("fk_control_ops_run_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_control_ops")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_control_ops_run_key_status", "control_ops", ["run_key", "status"], unique=False)
    op.create_table(
        "log_lines",
        sa.Column("run_key", _key, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_key"], ["runs.key"], name=op.f("fk_log_lines_run_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_key", "number", name=op.f("pk_log_lines")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "series",
        sa.Column("id", _key, nullable=False),
        sa.Column("run_key", _key, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_step", sa.BigInteger(), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=True),
        sa.Column("last", sa.Double(), nullable=True),
        sa.Column("min", sa.Double(), nullable=True),
        sa.Column("max", sa.Double(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("prior_step", sa.BigInteger(), nullable=True),
        sa.Column("next_ordinal", sa.BigInteger(), nullable=False),
        sa.Column("tail_count", sa.Integer(), nullable=False),
        sa.Column("base_level", sa.Integer(), nullable=True),
        sa.Column("top_level", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["run_key"], ["runs.key"], name=op.f("fk_series_run_key"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint("run_key", "name", name=op.f("uq_series_run_key_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "metric_chunks",
        sa.Column("series", _key, autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_step", sa.BigInteger(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["series"], ["series.id"], name=op.f("fk_metric_chunks_series"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("series", "ordinal", name=op.f("pk_metric_chunks")),
    )
    op.create_table(
        "metric_pyramid",
        sa.Column("series", _key, autoincrement=False, nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("part", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("buckets", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["series"], ["series.id"], name=op.f("fk_metric_pyramid_series"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("series", "level", "part", name=op.f("pk_metric_pyramid")),
    )
    op.create_table(
        "metric_tail",
        sa.Column("series", _key, autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("points", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["series"], ["series.id"], name=op.f("fk_metric_tail_series"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("series", "ordinal", name=op.f("pk_metric_tail")),
    )
