"""Prints the devices that torch can use, as one JSON object. Run as a process by ``modelyard.agent.devices``."""

import json
import sys
from typing import Any

import psutil
import torch

from modelyard.engine.environment import describe_environment, device_exists


def probe() -> dict[str, Any]:
    """Return torch's version, the environment and every device; what cannot be measured is null."""
    total = psutil.virtual_memory().total
    found: list[dict[str, Any]] = [
        {"name": "cpu", "kind": "cpu", "platform": "cpu", "model": "", "memory_bytes": total}
    ]
    if device_exists("cuda"):
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            found.append(
                {
                    "name": f"cuda:{index}",
                    "kind": "cuda",
                    "platform": "cuda" if torch.version.hip is None else "rocm",
                    "model": properties.name,
                    "memory_bytes": properties.total_memory,
                    "uuid": str(getattr(properties, "uuid", "")),
                    "pci": _pci_address(properties),
                }
            )
    if device_exists("mps"):
        found.append({"name": "mps", "kind": "mps", "platform": "mps", "model": "", "memory_bytes": None})
    environment = describe_environment(torch.device("cpu"))
    found[0]["model"] = environment["processor"]
    return {"environment": environment, "devices": found}


def _pci_address(properties: Any) -> str:
    """Return ``0000:c1:00.0``, or nothing where this version of torch does not tell it."""
    if not hasattr(properties, "pci_bus_id"):
        return ""
    return f"{properties.pci_domain_id:04x}:{properties.pci_bus_id:02x}:{properties.pci_device_id:02x}.0"


if __name__ == "__main__":
    json.dump(probe(), sys.stdout)
