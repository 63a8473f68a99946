"""The key of a home, and what it encrypts."""

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from modelyard.domain.errors import StoreError
from modelyard.store.home import Home, translated_os_errors

_KEY_FILE = "secrets.key"


class Cipher:
    """Encrypts with a key that is a file of the home, made when it is first needed."""

    def __init__(self, home: Home) -> None:
        """Raises ``StoreError`` for a file that holds no key."""
        self._path = home.path / _KEY_FILE
        with translated_os_errors(self._path):
            if not self._path.exists():
                with home.locked():
                    if not self._path.exists():
                        _write_key(self._path)
            try:
                self._fernet = Fernet(self._path.read_bytes())
            except ValueError as error:
                raise StoreError(
                    f"{self._path} holds no key; bring the right one, or delete it and set every secret anew"
                ) from error

    def encrypt(self, text: str) -> bytes:
        """Return it encrypted."""
        return self._fernet.encrypt(text.encode())

    def decrypt(self, encrypted: bytes) -> str:
        """Return the text. Raises ``StoreError`` for one that was encrypted with another key."""
        try:
            return self._fernet.decrypt(encrypted).decode()
        except InvalidToken as error:
            raise StoreError(
                f"the secrets were encrypted with another key than that in {self._path}; bring that one, or delete the "
                "secrets and set them anew"
            ) from error


def _write_key(path: Path) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(Fernet.generate_key())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
