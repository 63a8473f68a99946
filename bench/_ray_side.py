"""Ray Tune on the same trainable, a trial per core, one thread each, actors reused: ``_ray_side.py JOB.json``.

With a ``reduction`` in the job it stops trials by ASHA; else all train to their end.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ.update(RAY_DEDUP_LOGS="0", RAY_AIR_NEW_OUTPUT="0", RAY_USAGE_STATS_ENABLED="0")

import ray
import torch
from _plain_side import load, train
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler


def main() -> None:
    """Train the configs of a job as trials."""
    job = json.loads(Path(sys.argv[1]).read_text())
    ray.init(num_cpus=job["processes"], include_dashboard=False, log_to_driver=False, logging_level="error")
    configs = job["configs"]

    def trainable(config: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        train(configs[config["number"]], load(job["data"]), lambda **metrics: tune.report(metrics), compiled=False)

    scheduler = None
    if "reduction" in job:
        scheduler = AsyncHyperBandScheduler(
            metric="val_loss",
            mode="min",
            max_t=configs[0]["epochs"],
            grace_period=1,
            reduction_factor=job["reduction"],
        )
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        results = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={"number": tune.grid_search(list(range(len(configs))))},
            tune_config=tune.TuneConfig(reuse_actors=True, scheduler=scheduler),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
        metrics = [result.metrics for result in results]
    answer = {
        "seconds": time.perf_counter() - start,
        "accuracies": [one["val_accuracy"] for one in metrics],
        "trials": [(one["config"]["number"], one["training_iteration"], one["val_loss"]) for one in metrics],
        "version": ray.__version__,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
