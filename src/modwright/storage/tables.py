"""Every table, as data; what the migrations build, and what the stores ask.

Every row of a project carries its `project_id`. Times are Unix seconds by the database's clock. Ids of files and jobs
are made by `storage.clock.new_id`, so ordering by id is ordering by time.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: The last step of `migrations/versions`, which builds these tables.
REVISION = "0001"
#: The project of everybody who asks without a key; made by the first migration.
DEFAULT_PROJECT = "default"
#: A job in one of these stands in the way of its twin.
UNFINISHED = ("QUEUED", "VALIDATING", "VALIDATED", "STARTED", "RUNNING")

# Byte order on both databases: a cursor compares ids, and PostgreSQL's default order depends on the locale.
_ID: TypeEngine[str] = Text().with_variant(Text(collation="C"), "postgresql")
_SERIAL: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
_JSON = JSON(none_as_null=True)
_IS_UNFINISHED = text("status IN ({})".format(", ".join(f"'{status}'" for status in UNFINISHED)))


def _project() -> Column[str]:
    return Column("project_id", _ID, ForeignKey("projects.id"), nullable=False)


def _time(name: str, *, nullable: bool = True) -> Column[float]:
    return Column(name, Double, nullable=nullable)


projects = Table(
    "projects",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    _time("created_at", nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", _ID, primary_key=True),
    _project(),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("sha256", Text, nullable=False, unique=True),
    Column("scopes", _JSON, nullable=False),
    _time("created_at", nullable=False),
    _time("expires_at"),
    _time("revoked_at"),
    _time("last_used_at"),
)

#: Content in the store of blobs. `key` is the object's name there: used once, never again, so that removing an object
#: can't hit content that is being added at that moment.
blobs = Table(
    "blobs",
    metadata,
    Column("sha256", _ID, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("bytes", BigInteger, nullable=False),
    _time("created_at", nullable=False),
)

#: Content that somebody has put and not named yet: it stays until it is named, released, or the time is over.
blob_reservations = Table(
    "blob_reservations",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("sha256", _ID, ForeignKey("blobs.sha256"), nullable=False, index=True),
    _time("expires_at", nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("id", _ID, primary_key=True),
    _project(),
    Column("filename", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", _ID, ForeignKey("blobs.sha256"), nullable=False, index=True),
    Column("num_lines", BigInteger),
    Column("mimetype", Text),
    Column("sample_type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("visibility", Text),
    _time("created_at", nullable=False),
    _time("expires_at"),
    Column("summary", _JSON),
    UniqueConstraint("project_id", "sha256", "filename", "purpose"),
    Index(None, "expires_at"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _ID, primary_key=True),
    _project(),
    Column("dialect", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("phase", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    _time("lease_until"),
    Column("worker", Text),
    Column("attempts", Integer, nullable=False),
    _time("not_before", nullable=False),
    Column("auto_start", Boolean, nullable=False),
    Column("model", Text, nullable=False),
    Column("suffix", Text),
    Column("spec", _JSON, nullable=False),
    Column("twin", Text, nullable=False),
    Column("result", _JSON),
    Column("fine_tuned_model", Text),
    Column("trained_tokens", BigInteger),
    Column("error", _JSON),
    Column("secrets", Text),
    Column("created_by", Text),
    _time("created_at", nullable=False),
    _time("modified_at", nullable=False),
    _time("started_at"),
    _time("finished_at"),
    CheckConstraint("phase IN ('validate', 'train')", name="phase"),
    Index(None, "project_id", "id"),
    Index(None, "status", "not_before"),
    Index(
        "ix_jobs_twin",
        "project_id",
        "twin",
        unique=True,
        sqlite_where=_IS_UNFINISHED,
        postgresql_where=_IS_UNFINISHED,
    ),
)

job_events = Table(
    "job_events",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("job_id", _ID, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    _time("created_at", nullable=False),
    Column("name", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("data", _JSON),
    Index(None, "job_id", "id"),
    CheckConstraint("level IN ('info', 'warn', 'error')", name="level"),
)

job_checkpoints = Table(
    "job_checkpoints",
    metadata,
    Column("job_id", _ID, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("step_number", BigInteger, primary_key=True, autoincrement=False),
    _time("created_at", nullable=False),
    Column("train_loss", Double, nullable=False),
    Column("valid_loss", Double),
    Column("learning_rate", Double),
    Column("tokens", BigInteger),
)

models = Table(
    "models",
    metadata,
    Column("id", _ID, primary_key=True),
    _project(),
    Column("job_id", _ID, ForeignKey("jobs.id"), unique=True),
    Column("name", Text),
    Column("description", Text),
    Column("root", Text, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("artifact_id", Text, nullable=False),
    Column("manifest", _JSON, nullable=False),
    Column("targets", _JSON, nullable=False),
    _time("created_at", nullable=False),
    _time("deleted_at"),
    Index(None, "project_id", "created_at"),
)

#: Which content a model that is not deleted names; its manifest says where in the folder.
model_blobs = Table(
    "model_blobs",
    metadata,
    Column("model_id", _ID, ForeignKey("models.id"), primary_key=True),
    Column("sha256", _ID, ForeignKey("blobs.sha256"), primary_key=True, index=True),
)

aliases = Table(
    "aliases",
    metadata,
    Column("project_id", _ID, ForeignKey("projects.id"), primary_key=True),
    Column("alias", _ID, primary_key=True),
    Column("model_id", _ID, ForeignKey("models.id"), nullable=False, index=True),
)
