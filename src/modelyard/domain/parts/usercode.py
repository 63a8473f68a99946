"""Configs of tasks that are code of the user's own. What loads and runs it is in ``modelyard.tasks.usercode``."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from modelyard.domain.base import Config, canonical_json

Identifier = Annotated[str, Field(pattern=r"^[^\W\d]\w*$")]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _UserCode(Config):
    file: Annotated[str, Field(min_length=1)]
    """The Python file; a relative path starts at the sweep file's folder."""
    params: dict[str, Any] = {}
    """Keyword arguments for it, by name; a search may vary each one: ``custom.params.width``."""
    code: Digest | None = None
    """SHA-256 of the file when the run was submitted; filled in then. The run keeps that text, whatever comes later."""

    @field_validator("params")
    @classmethod
    def _params_are_json(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            canonical_json(value)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"params must be numbers, texts, true, false, null, lists or mappings ({error})"
            ) from error
        return value


class Custom(_UserCode):
    """A class of your own in a Python file: its data, its model, its loss."""

    class_name: Identifier
    """The class, with the methods ``data``, ``build`` and ``loss``."""

    @property
    def entry(self) -> str:
        """What is called with the params."""
        return self.class_name


class TrainerFunction(_UserCode):
    """A function of your own in a Python file that returns a ``transformers.Trainer``; its own loop trains."""

    function: Identifier
    """The function; called with the params, it returns the trainer, ready to train."""

    @property
    def entry(self) -> str:
        """What is called with the params."""
        return self.function


UserCode = Custom | TrainerFunction
"""Any of them."""
