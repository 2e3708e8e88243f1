"""Models as jobs leave them: an artifact folder in blobs and a row, in a real database."""

from dataclasses import dataclass

from modwright.artifact import read_artifact
from modwright.settings import Settings
from modwright.storage.artifacts import publish
from modwright.storage.blobs import Blobs, open_blobs
from modwright.storage.database import Database, database_url, open_database
from modwright.storage.models import ModelStore, NewModel


@dataclass
class Kept:
    """What a server keeps of models; `database`, `blobs` and `models` are named as in a factory."""

    settings: Settings
    database: Database
    blobs: Blobs
    models: ModelStore


def kept(home, **changes):
    """Return a new database and store of blobs below a folder."""
    settings = Settings(home=home, threads=1, **changes)
    database = open_database(database_url(settings))
    database.migrate()
    blobs = open_blobs(settings, database)
    return Kept(settings, database, blobs, ModelStore(database, blobs))


def add_model(place, folder, name, project="default", **more):
    """Publish an artifact folder as a job does, and return the model's row."""
    artifact, manifest = read_artifact(folder), publish(folder, place.blobs)
    new = NewModel(
        id=name,
        project_id=project,
        root="fast",
        artifact_id=artifact.id,
        manifest=manifest,
        targets=artifact.schema.to_json()["targets"],
        **more,
    )
    with place.database.write() as connection:
        return place.models.insert(connection, new)


def blob_paths(place):
    """Return the files behind the store of blobs."""
    return [path for path in (place.settings.home / "blobs").rglob("*") if path.is_file()]
