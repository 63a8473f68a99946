"""Lets a part be written as its bare name: ``optimizer: adamw`` means ``optimizer: {name: adamw}``."""

from typing import Any

from pydantic import BeforeValidator


def _expand(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


ShortForm = BeforeValidator(_expand)
