"""The first tables, and the project of everybody who asks without a key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from modwright.storage.clock import now

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True)
UNFINISHED = sa.text("status IN ('QUEUED', 'VALIDATING', 'VALIDATED', 'STARTED', 'RUNNING')")

TABLES = (
    "projects",
    "api_keys",
    "blobs",
    "blob_reservations",
    "files",
    "jobs",
    "job_events",
    "job_checkpoints",
    "models",
    "model_blobs",
    "aliases",
)


def upgrade() -> None:
    """Make the tables."""
    _projects()
    _content()
    _jobs()
    _models()
    connection = op.get_bind()
    values = {"id": "default", "name": "default", "now": now(connection)}
    connection.execute(
        sa.text("INSERT INTO projects (id, name, created_at) VALUES (:id, :name, :now)"), values
    )


def downgrade() -> None:
    """Drop the tables, and with them everything in them."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("name", name=op.f("uq_projects_name")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", ID, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double()),
        sa.Column("revoked_at", sa.Double()),
        sa.Column("last_used_at", sa.Double()),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_api_keys_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("sha256", name=op.f("uq_api_keys_sha256")),
    )


def _content() -> None:
    op.create_table(
        "blobs",
        sa.Column("sha256", ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_blobs")),
        sa.UniqueConstraint("key", name=op.f("uq_blobs_key")),
    )
    op.create_table(
        "blob_reservations",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("sha256", ID, nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name=op.f("fk_blob_reservations_sha256")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blob_reservations")),
    )
    op.create_index(op.f("ix_blob_reservations_sha256"), "blob_reservations", ["sha256"])
    op.create_table(
        "files",
        sa.Column("id", ID, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", ID, nullable=False),
        sa.Column("num_lines", sa.BigInteger()),
        sa.Column("mimetype", sa.Text()),
        sa.Column("sample_type", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double()),
        sa.Column("summary", JSON),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_files_project_id")),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name=op.f("fk_files_sha256")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint(
            "project_id",
            "sha256",
            "filename",
            "purpose",
            name=op.f("uq_files_project_id_sha256_filename_purpose"),
        ),
    )
    op.create_index(op.f("ix_files_expires_at"), "files", ["expires_at"])
    op.create_index(op.f("ix_files_sha256"), "files", ["sha256"])


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("dialect", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.Double()),
        sa.Column("worker", sa.Text()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.Double(), nullable=False),
        sa.Column("auto_start", sa.Boolean(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("suffix", sa.Text()),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("twin", sa.Text(), nullable=False),
        sa.Column("result", JSON),
        sa.Column("fine_tuned_model", sa.Text()),
        sa.Column("trained_tokens", sa.BigInteger()),
        sa.Column("error", JSON),
        sa.Column("secrets", sa.Text()),
        sa.Column("created_by", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("modified_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("finished_at", sa.Double()),
        sa.CheckConstraint("phase IN ('validate', 'train')", name=op.f("ck_jobs_phase")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_jobs_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_project_id_id"), "jobs", ["project_id", "id"])
    op.create_index(op.f("ix_jobs_status_not_before"), "jobs", ["status", "not_before"])
    op.create_index(
        "ix_jobs_twin",
        "jobs",
        ["project_id", "twin"],
        unique=True,
        sqlite_where=UNFINISHED,
        postgresql_where=UNFINISHED,
    )
    op.create_table(
        "job_events",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("data", JSON),
        sa.CheckConstraint("level IN ('info', 'warn', 'error')", name=op.f("ck_job_events_level")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_events_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_events")),
    )
    op.create_index(op.f("ix_job_events_job_id_id"), "job_events", ["job_id", "id"])
    op.create_table(
        "job_checkpoints",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("step_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("train_loss", sa.Double(), nullable=False),
        sa.Column("valid_loss", sa.Double()),
        sa.Column("learning_rate", sa.Double()),
        sa.Column("tokens", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_checkpoints_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "step_number", name=op.f("pk_job_checkpoints")),
    )


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("id", ID, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("job_id", ID),
        sa.Column("name", sa.Text()),
        sa.Column("description", sa.Text()),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("artifact_id", sa.Text(), nullable=False),
        sa.Column("manifest", JSON, nullable=False),
        sa.Column("targets", JSON, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("deleted_at", sa.Double()),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_models_job_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_models_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("job_id", name=op.f("uq_models_job_id")),
    )
    op.create_index(op.f("ix_models_project_id_created_at"), "models", ["project_id", "created_at"])
    op.create_table(
        "model_blobs",
        sa.Column("model_id", ID, nullable=False),
        sa.Column("sha256", ID, nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_model_blobs_model_id")),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name=op.f("fk_model_blobs_sha256")),
        sa.PrimaryKeyConstraint("model_id", "sha256", name=op.f("pk_model_blobs")),
    )
    op.create_index(op.f("ix_model_blobs_sha256"), "model_blobs", ["sha256"])
    op.create_table(
        "aliases",
        sa.Column("project_id", ID, nullable=False),
        sa.Column("alias", ID, nullable=False),
        sa.Column("model_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_aliases_model_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_aliases_project_id")),
        sa.PrimaryKeyConstraint("project_id", "alias", name=op.f("pk_aliases")),
    )
    op.create_index(op.f("ix_aliases_model_id"), "aliases", ["model_id"])
