"""The calibration of a station's zeros, as text that is stored with demonstrations."""

from pathlib import Path

from handlab.graph.config import GraphConfig
from handlab_core.tasks import make_task
from handlab_hardware.station_file import load_station, station_path


def calibration_of(config: GraphConfig) -> str:
    """Return the calibration of the station's zeros as text; empty for a simulation."""
    if not config.backend.station_file:
        return ""
    path = config.station or station_path(make_task(config.task).hand_name)
    port = config.fixture_port or config.port
    section = load_station(Path(path), nominal=config.emulate, port=port).dynamixel
    if section is None:
        return ""
    zeros = ", ".join(f"{servo.joint} {servo.zero:.5f}" for servo in section.servos)
    return f"{'measured' if section.calibrated else 'nominal'}: {zeros}"
