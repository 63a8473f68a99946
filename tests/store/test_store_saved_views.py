"""Named views: one of each name in a project, on both databases."""

import pytest

from modelyard.domain.errors import ConflictError, NotFoundError, UserError
from modelyard.store import saved_views


def test_a_view_is_kept_by_project_and_name(store, sweep):
    sweep(store)
    sweep(store, name="other", project="other")
    saved = store.saved_views.save("default", " fast ", {"sort": "-loss", "columns": ["a", "b"]}, actor="ann")
    store.saved_views.save("other", "fast", {}, actor="ann")
    assert store.saved_views.list("default") == [saved]
    assert (saved.name, saved.saved_by, saved.search) == ("fast", "ann", {"sort": "-loss", "columns": ["a", "b"]})
    again = store.saved_views.save("default", "fast", {"x": "time"}, actor="bob")
    assert store.saved_views.list("default") == [again]
    store.saved_views.delete("default", "fast", actor="bob")
    assert store.saved_views.list("default") == []
    assert [one.name for one in store.saved_views.list("other")] == ["fast"]
    told = [event.payload for event in store.events.read() if event.payload.type.startswith("view.")]
    assert [(one.type, one.project) for one in told] == [
        ("view.saved", "default"), ("view.saved", "other"), ("view.saved", "default"), ("view.deleted", "default"),
    ]  # fmt: skip


def test_what_cannot_be_kept_changes_nothing(store, sweep, monkeypatch):
    sweep(store)
    kept = store.saved_views.save("default", "one", {}, actor="ann")
    with pytest.raises(NotFoundError, match="did you mean 'default'"):
        store.saved_views.save("defualt", "one", {}, actor="ann")
    for name, search in (("  ", {}), ("x" * 81, {}), ("two", {"a": float("nan")}), ("two", {"a": "x" * 20_001})):
        with pytest.raises(UserError):
            store.saved_views.save("default", name, search, actor="ann")
    with pytest.raises(NotFoundError, match="did you mean 'one'"):
        store.saved_views.delete("default", "onee", actor="ann")
    monkeypatch.setattr(saved_views, "MOST_VIEWS", 1)
    with pytest.raises(ConflictError, match="delete one of them first"):
        store.saved_views.save("default", "two", {}, actor="ann")
    again = store.saved_views.save("default", "one", {"x": "time"}, actor="ann")
    assert again != kept
    assert store.saved_views.list("default") == [again]
