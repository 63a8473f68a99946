"""A small sound bundle, and what is needed to make hostile ones of it."""

import hashlib
import io
import json
import warnings
import zipfile

import pytest
from sqlalchemy import func, select

from modelyard.api.bundles import export_bundle, import_bundle, layout
from modelyard.api.targets import find_target
from modelyard.domain.checkpoint import CheckpointDraft
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.control import Pause
from modelyard.domain.errors import UserError
from modelyard.domain.ports import Point, Validation
from modelyard.domain.sample_scores import pack_scores
from modelyard.store import open_store, schema


@pytest.fixture(scope="session")
def sound(tmp_path_factory):
    """Give the bytes of a small bundle that has something in every table but ``search``."""
    folder = tmp_path_factory.mktemp("sound")
    with open_store(folder / "home") as store:
        store.experiments.create(SweepSpec(name="s"), [RunSpec(seed=seed) for seed in range(2)], actor="ada")
        run, lease = store.leases.claim(store.leases.register(), limit=1)[0]
        with store.write(lease) as write:
            how = {"execution": "solo", "device": "cpu", "reason": "a test"}
            write.begin(start_step=0, checkpoint_id=None, total_steps=9, **how)
        blob, plot = store.blobs.put([b"weights" * 100]), store.blobs.put([b"{}"])
        with store.write(lease) as write:
            write.points([Point("loss", step, 0.0, 1.0) for step in range(3)])
            write.lines(["a line", "another"])
            write.validations([Validation(1, 2, {"val_loss": 1.0}, pack_scores([0.5]))])
            write.artifact("plot", plot, step=2)
            write.checkpoint(CheckpointDraft(step=2, epoch=1, files={"model": blob}, metrics={}), keep=1)
        store.runs.request(run.id, Pause(), actor="ada")
        export_bundle(store, find_target(store, "s"), folder / "s.zip", actor="ada")
    return (folder / "s.zip").read_bytes()


@pytest.fixture
def members(sound):
    """Give the members of the bundle by name, to be changed."""
    with zipfile.ZipFile(io.BytesIO(sound)) as opened:
        return {name: opened.read(name) for name in opened.namelist() if name != layout.MANIFEST}


@pytest.fixture
def manifest(sound):
    with zipfile.ZipFile(io.BytesIO(sound)) as opened:
        return json.loads(opened.read(layout.MANIFEST))


@pytest.fixture
def zipped():
    """Give the function that makes an archive of members."""
    return _zipped


def _zipped(members, manifest=None, *, change=None):
    """Make an archive with a manifest that is right about it; ``change`` may alter the entry of each member."""
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in members.items()}
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate names
        entries = list(members.items())
        if manifest is not None:
            entries.append((layout.MANIFEST, json.dumps({**manifest, "members": listed}).encode()))
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o600 << 16
            for one in (info,) if change is None else change(info):
                made.writestr(one, data)
    return written.getvalue()


@pytest.fixture
def refused(sqlite_store, tmp_path):
    """Give a function that imports bytes, expects a refusal that says ``why``, and that nothing was written."""

    def check(data, why, *, error=UserError):
        path = tmp_path / "hostile.zip"
        path.write_bytes(data)
        with pytest.raises(error, match=why):
            import_bundle(sqlite_store, path, actor="joe")
        assert _untouched(sqlite_store)

    return check


@pytest.fixture
def untouched():
    """Give the function that says whether nothing was ever written to a store."""
    return _untouched


def _untouched(store):
    with store.database.read() as connection:
        rows = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in schema.metadata.sorted_tables
        }
    assert {name: count for name, count in rows.items() if count} == {}
    assert list(store.blobs.folder.iterdir()) == list(store.blobs.temporary.iterdir()) == []
    return True
