"""A registry: one builder for every config class of a domain union."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from modelyard.domain.base import Config

ConfigT = TypeVar("ConfigT", bound=Config)
Built = TypeVar("Built")
BuilderT = TypeVar("BuilderT", bound=Callable[..., Any])


class Registry(Generic[ConfigT, Built]):
    """Builders by config class. ``kind`` names the parts in errors ("loss")."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._builders: dict[type[Any], Callable[..., Built]] = {}

    def register(self, config_class: type[ConfigT]) -> Callable[[BuilderT], BuilderT]:
        """Return a decorator for the one builder of ``config_class``: called with the config and the context."""
        assert config_class not in self._builders, f"{self.kind} {config_class.__name__} has a builder already"

        def decorate(builder: BuilderT) -> BuilderT:
            self._builders[config_class] = builder
            return builder

        return decorate

    def build(self, config: ConfigT, **context: Any) -> Built:
        """Build the part that ``config`` describes."""
        return self._builders[type(config)](config, **context)

    def entries(self) -> Mapping[type[Any], Callable[..., Built]]:
        """Return the builders by config class."""
        return MappingProxyType(self._builders)
