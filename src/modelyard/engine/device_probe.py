"""Prints the devices that torch can use, as one JSON object. Run as a process by ``modelyard.agent.devices``."""

import json
import sys
from typing import Any

import psutil
import torch

from modelyard.engine.environment import describe_environment, device_exists


def probe() -> dict[str, Any]:
    """Return torch's version, the environment and every device; what cannot be measured is null."""
    found = [{"name": "cpu", "kind": "cpu", "model": "", "memory_bytes": psutil.virtual_memory().total}]
    if device_exists("cuda"):
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            found.append(
                {
                    "name": f"cuda:{index}",
                    "kind": "cuda",
                    "model": properties.name,
                    "memory_bytes": properties.total_memory,
                }
            )
    if device_exists("mps"):
        found.append({"name": "mps", "kind": "mps", "model": "", "memory_bytes": None})
    environment = describe_environment(torch.device("cpu"))
    found[0]["model"] = environment["processor"]
    return {"environment": environment, "devices": found}


if __name__ == "__main__":
    json.dump(probe(), sys.stdout)
