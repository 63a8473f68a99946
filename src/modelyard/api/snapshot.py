"""Takes the text of a user's own file when runs are submitted, so that editing the file later changes none of them."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConfigError, ConflictError, NotFoundError
from modelyard.domain.parts.usercode import UserCode
from modelyard.store import Store

MOST_BYTES = 1 << 20
"""A larger file is no code; it is taken for a mistake."""


def with_code(specs: Sequence[RunSpec]) -> tuple[RunSpec, ...]:
    """Return the specs with the digest of each file that has none yet. Raises ``ConfigError`` for a missing file."""
    digests: dict[str, str] = {}
    return tuple(_with_code(spec, digests) for spec in specs)


def with_code_of(sweep: SweepSpec, specs: Iterable[RunSpec]) -> SweepSpec:
    """Return a sweep whose base run has the code that its runs have, so that its hash counts the code too."""
    config = sweep.run.user_code
    if config is None or config.code is not None:
        return sweep
    for spec in specs:
        if spec.user_code is not None and spec.user_code.file == config.file:
            return sweep.model_copy(update={"run": _replace(sweep.run, spec.user_code.code)})
    return sweep


def read_text(config: UserCode) -> str | None:
    """Return the text that a config's digest stands for, if its file still has it."""
    source = _read(config)
    return source.decode() if source is not None and _digest(source) == config.code else None


def texts_of(specs: Iterable[RunSpec]) -> dict[str, str]:
    """Return the texts of the specs' code by its digest, as far as their files still have them."""
    configs = {spec.user_code.code: spec.user_code for spec in specs if spec.user_code is not None}
    texts = {digest: read_text(config) for digest, config in configs.items() if digest is not None}
    return {digest: text for digest, text in texts.items() if text is not None}


def keep_code(store: Store, specs: Iterable[RunSpec]) -> None:
    """Put the code of the specs into the store, pinned by this process until their runs are created.

    Raises ``ConflictError`` if a file was changed since its digest was taken.
    """
    for config in {spec.user_code.code: spec.user_code for spec in specs if spec.user_code is not None}.values():
        assert config.code is not None, "with_code came before"
        text = stored_text(store, config) or read_text(config)
        if text is None:
            raise ConflictError(f"{config.file}: the file was changed while it was being submitted; submit it again")
        store.blobs.put([text.encode()])


def stored_text(store: Store, config: UserCode) -> str | None:
    """Return the text that a config's digest stands for, if the store has it."""
    assert config.code is not None
    try:
        with store.blobs.open(config.code) as file:
            return file.read().decode()
    except NotFoundError:
        return None


def _with_code(spec: RunSpec, digests: dict[str, str]) -> RunSpec:
    config = spec.user_code
    if config is None or config.code is not None:
        return spec
    if config.file not in digests:
        source = _read(config)
        if source is None:
            raise ConfigError(f"run.{spec.code_field}.file: there is no file {config.file}")
        digests[config.file] = _digest(_checked(source, f"run.{spec.code_field}.file: {config.file}"))
    return _replace(spec, digests[config.file])


def _replace(spec: RunSpec, code: str | None) -> RunSpec:
    assert spec.user_code is not None
    return spec.model_copy(update={spec.code_field: spec.user_code.model_copy(update={"code": code})})


def _read(config: UserCode) -> bytes | None:
    try:
        return Path(config.file).read_bytes()
    except OSError:
        return None


def _checked(source: bytes, where: str) -> bytes:
    if len(source) > MOST_BYTES:
        raise ConfigError(f"{where} has {len(source):,} bytes; a file of Python code has at most {MOST_BYTES:,}")
    try:
        source.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where} is not a text in UTF-8 (byte {error.start})") from error
    return source


def _digest(source: bytes) -> str:
    return f"sha256:{hashlib.sha256(source).hexdigest()}"
