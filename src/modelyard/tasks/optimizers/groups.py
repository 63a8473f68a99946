"""Which parameters are decayed, and which are matrices between embedding and head."""

import re
from collections.abc import Iterable, Iterator

from torch import nn

from modelyard.tasks.optimizers.registry import Group

# Learned tokens and positions are matrices by shape only; the names are those of our models and of transformers.
_TOKEN = re.compile(r"token|(^|[._])pos(ition(al)?)?[._]?emb|position|relative_.*bias|layer_?scale|lambda")
_HEAD = re.compile(r"(^|\.)(head|\w*classifier)(\.|$)")


def split_by_decay(model: nn.Module, parameters: Iterable[nn.Parameter], *, all_decay: bool) -> list[Group]:
    """Return at most two groups: with and without weight decay (norms, biases, tokens, embeddings and scales)."""
    exempt = set() if all_decay else {id(parameter) for parameter in _without_decay(model)}
    chosen = list(parameters)
    groups: list[Group] = [
        {"params": [parameter for parameter in chosen if id(parameter) not in exempt], "decays": True},
        {"params": [parameter for parameter in chosen if id(parameter) in exempt], "decays": False},
    ]
    return [{**group, "lr_factor": 1.0} for group in groups if group["params"]]


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that are trained, in the model's order."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def hidden_matrices(model: nn.Module) -> list[nn.Parameter]:
    """Return trained weights of at least two dimensions that are neither embedding, token, norm nor head."""
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1:]
    excluded = {id(parameter) for parameter in _without_decay(model)}
    excluded |= {id(parameter) for module in last for parameter in module.parameters()}
    excluded |= {id(parameter) for name, parameter in model.named_parameters() if _HEAD.search(name)}
    return [parameter for parameter in trainable(model) if id(parameter) not in excluded]


def _without_decay(model: nn.Module) -> Iterator[nn.Parameter]:
    for prefix, module in model.named_modules():
        whole = _is_norm(module) or isinstance(module, nn.Embedding)
        for name, parameter in module.named_parameters(prefix, recurse=False):
            if whole or parameter.ndim < 2 or _TOKEN.search(name.rpartition(".")[2]):
                yield parameter


def _is_norm(module: nn.Module) -> bool:
    # By name too: transformers has norms of its own.
    return isinstance(module, nn.LayerNorm | nn.GroupNorm | nn.modules.batchnorm._NormBase) or type(
        module
    ).__name__.endswith("Norm")
