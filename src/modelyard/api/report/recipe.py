"""More about the best run: what its config changed, and how to train it again."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from modelyard.api.report.classes import read_confusions
from modelyard.api.report.model import BestRun
from modelyard.domain.query import Value, flatten
from modelyard.domain.run import Run
from modelyard.store import Store

_LONGEST_NAME = 58


def describe_best(store: Store, run: Run, *, base: Mapping[str, Value], tuned: Mapping[str, Value]) -> BestRun:
    """Return what is said of the run in the first place.

    ``base`` is the config of its experiment's base run, ``tuned`` what it was tuned to itself.
    """
    config = flatten(json.loads(run.spec_json)) | dict(tuned)
    paths = [*config, *(path for path in base if path not in config)]
    return BestRun(
        run_id=run.id,
        name=run.name,
        changes=tuple((path, base.get(path), config.get(path)) for path in paths if base.get(path) != config.get(path)),
        config=config,
        confusions=read_confusions(store, run.id),
        recipe=_recipe(run, tuned),
        caveats=tuple(_caveats(run, tuned)),
    )


def _recipe(run: Run, tuned: Mapping[str, Value]) -> str:
    spec: dict[str, Any] = json.loads(run.spec_json)
    for path, value in tuned.items():
        part, _, field = path.rpartition(".")
        spec.get(part, spec)[field] = value
    document = {"name": f"{run.name[:_LONGEST_NAME]}-again", "project": run.project, "run": spec}
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def _caveats(run: Run, tuned: Mapping[str, Value]) -> list[str]:
    caveats = ["The same numbers need the same data, code, libraries and device: see the fingerprints."]
    if tuned:
        caveats.append(
            f"It was tuned while it trained ({', '.join(tuned)}); the file has the values it ended with, "
            "so a new run has them from its first step on."
        )
    if run.warm_start is not None:
        caveats.append(
            f"It started from the weights of checkpoint {run.warm_start}, which are not in the file; with them: "
            f"modelyard clone {run.parent_id or run.name} --warm-start {run.warm_start}"
        )
    return caveats
