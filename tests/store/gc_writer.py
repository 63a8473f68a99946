"""A process that puts, records and drops blobs as it is told; started by test_store_gc."""

import json
import sys
import time
from hashlib import sha256
from typing import Any

from modelyard.domain.checkpoint import BlobRef
from modelyard.store import Store, open_store


def content(number: int) -> bytes:
    """Return one of few contents, so that writers often put what another one has just dropped."""
    return sha256(b"%d" % number).digest() * 600


class Writer:
    """Owns one run; its artifacts are its references."""

    def __init__(self, store: Store) -> None:
        self.store = store
        worker_id = store.leases.register()
        [(_, self.lease)] = store.leases.claim(worker_id, limit=1)
        self.pending: list[tuple[str, BlobRef]] = []
        self.recorded: dict[str, BlobRef] = {}
        self.step = 0

    def put(self, number: int, name: str) -> None:
        self.pending.append((name, self.store.blobs.put([content(number)])))

    def record(self) -> None:
        """Reference all that was put. A later artifact of the same name drops the earlier one."""
        with self.store.write(self.lease) as write:
            for name, blob in self.pending:
                self.step += 1
                write.artifact(name, blob, step=self.step)
        self.recorded |= dict(self.pending)
        self.pending.clear()

    def check(self) -> None:
        for blob in [*self.recorded.values(), *(blob for _, blob in self.pending)]:
            self.store.blobs.verify(blob.digest)

    def run(self, program: list[list[Any]]) -> None:
        for operation, *arguments in program:
            {"put": self.put, "record": self.record, "sleep": time.sleep, "collect": self.store.gc.collect}[operation](
                *arguments
            )
            self.check()


def main() -> None:
    with open_store(sys.argv[1]) as store:
        writer = Writer(store)
        print("ready", flush=True)  # noqa: T201
        for line in sys.stdin:
            writer.run(json.loads(line))
            print("done", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
