"""Location of launch/, config/ and urdf/: in the checkout, or in an installed handlab_bringup."""

import os
from pathlib import Path

from handlab_core.errors import BadConfig


def share() -> Path:
    """Return the folder that holds launch/, config/ and urdf/.

    Raises:
        BadConfig: neither a checkout nor an installation has it.
    """
    candidates = list(Path(__file__).resolve().parents)
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    candidates += [Path(prefix, "share", "handlab_bringup") for prefix in prefixes if prefix]
    for folder in candidates:
        if (folder / "urdf" / "SOURCE.md").is_file():
            return folder
    raise BadConfig(
        "no urdf/ folder found: run from a checkout, or build and source handlab_bringup "
        f"(AMENT_PREFIX_PATH is {os.environ.get('AMENT_PREFIX_PATH', 'not set')})"
    )


def urdf(name: str) -> Path:
    """Return the path of a file below urdf/."""
    return share() / "urdf" / name
