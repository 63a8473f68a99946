"""What the page needs to write a sweep."""

import json
from collections.abc import Sequence

from fastapi import APIRouter

from modelyard.api.presets import PRESETS
from modelyard.domain.config import SweepSpec
from modelyard.server.context import Here
from modelyard.server.drafting import Draft, DraftRequest, EstimateView, draft, estimate_draft
from modelyard.server.schema import SchemaView, sweep_schema, sweep_text
from modelyard.server.views import View

router = APIRouter(tags=["drafts"])


class PresetView(View):
    """A sweep to start from."""

    name: str
    title: str
    about: str
    needs: Sequence[str]
    """What has to be filled in: ``images`` (a folder), ``model`` (a Hugging Face folder or id)."""
    text: str


class TextView(View):
    """The text of a sweep file."""

    text: str


@router.get("/schema")
def schema() -> SchemaView:
    """Return what a sweep can hold, from the classes that check it."""
    return sweep_schema()


@router.get("/presets")
def presets() -> list[PresetView]:
    """List sweeps to start from; ``modelyard init --preset`` writes the same."""
    return [
        PresetView(name=one.name, title=one.title, about=one.about, needs=one.needs, text=one.text())
        for one in PRESETS.values()
    ]


@router.get("/experiments/{ref}/text")
def text(here: Here, ref: str) -> TextView:
    """Return an experiment's sweep as a file, to start from."""
    found = here.store.experiments.get(ref)
    return TextView(text=sweep_text(SweepSpec.model_validate(json.loads(found.sweep_json))))


@router.post("/drafts")
def check(request: DraftRequest) -> Draft:
    """Apply edits to the text of a sweep and check it, as one types; nothing is created, no data is opened."""
    return draft(request)


@router.post("/drafts/estimate")
def estimate(here: Here, request: TextView) -> EstimateView:
    """Say what a sweep takes on this machine, as far as that was measured before."""
    return estimate_draft(here.store.home, request.text)
