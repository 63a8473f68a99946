"""How everything is kept: tables, events, metrics, logs and blobs."""

from modelyard.store.following import Follower
from modelyard.store.home import Home
from modelyard.store.lease_observer import HEARTBEAT_SECONDS, LeaseObserver
from modelyard.store.leased_write import LeasedWrite
from modelyard.store.leases import AGENT_OF, WorkerInfo
from modelyard.store.store import Store, home_folder, open_store

__all__ = [
    "AGENT_OF",
    "HEARTBEAT_SECONDS",
    "Follower",
    "Home",
    "LeaseObserver",
    "LeasedWrite",
    "Store",
    "WorkerInfo",
    "home_folder",
    "open_store",
]
