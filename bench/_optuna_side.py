"""A worker of an Optuna study that prunes the plain trainable, in one thread: ``_optuna_side.py JOB.json``."""

import json
import sys
from pathlib import Path

import optuna
import torch
from _plain_side import load, train
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def main() -> None:
    """Train trials of a job's study until none is left."""
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=job["reduction"])
    study = optuna.load_study(study_name=job["study"], storage=storage(job["journal"]), pruner=pruner)
    data, configs = load(job["data"]), job["configs"]
    while (trial := study.ask()).number < len(configs):
        try:
            study.tell(trial, one_trial(trial, configs, data))
        except optuna.TrialPruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    study.tell(trial, state=optuna.trial.TrialState.FAIL)


def storage(journal: str) -> JournalStorage:
    """Return the storage that the workers share: a file."""
    return JournalStorage(JournalFileBackend(journal))


def one_trial(trial: optuna.Trial, configs: list[dict[str, object]], data: dict[str, torch.Tensor]) -> float:
    """Train one configuration; return its last validation loss. Raises ``TrialPruned``."""
    losses: list[float] = []

    def report(*, val_loss: float, val_accuracy: float) -> None:
        del val_accuracy
        losses.append(val_loss)
        trial.report(val_loss, len(losses))
        if len(losses) < config["epochs"] and trial.should_prune():
            raise optuna.TrialPruned

    config = configs[trial.suggest_int("number", 0, len(configs) - 1)]
    train(config, data, report, compiled=False)
    return losses[-1]


if __name__ == "__main__":
    main()
