"""`./handlab emulate`: emulate a hand's motors."""

from pathlib import Path
from typing import Annotated

from handlab.cli.fields import option_of
from handlab.cli.parameters import Seed
from handlab.cli.values import argument, option, path_option
from handlab_core.errors import BadConfig
from handlab_core.options import EMULATED, HardwareOptions
from handlab_core.system.validation import Index, Text


def emulate(
    wire: Annotated[str, argument(Text, "dynamixel or allegro")] = "dynamixel",
    station: Annotated[str, option_of(HardwareOptions, "station")] = "",
    port: Annotated[str, path_option("Port of the emulated hand; default: a new port")] = "",
    interface: Annotated[str, option(Text, "Interface of python-can, for allegro")] = "",
    channel: Annotated[str, option(Text, "Channel of the interface, for allegro")] = "",
    reality: Annotated[
        int | None,
        option(
            Index,
            "Number of a hand that differs from its description: 0 to 9, of allegro 0 to 3",
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Emulate a hand's motors down to the wire, with MuJoCo behind them, until Ctrl-C."""
    from handlab.emulation.emulated_hands import can_port, make_emulated, serve
    from handlab.graph.config import GraphConfig, on_machine
    from handlab_core.hardware.backend_table import emulator_spec
    from handlab_hardware.station_file import station_path

    spec = emulator_spec(wire)
    if (interface or channel) and (spec.port != "can" or port):
        raise BadConfig("--interface and --channel are of an Allegro hand, and in place of --port")
    chosen = on_machine(GraphConfig(pace="real"), wire, station, EMULATED)
    default = can_port(interface, channel) if spec.port == "can" else chosen.port
    path = Path(station or station_path(spec.emulated_hand))
    if reality is not None:
        from handlab.emulation.realities import emulate_reality

        motors = emulate_reality(wire, reality, path, port or default, chosen.fixture_port)
    else:
        motors = make_emulated(wire, path, port or default, chosen.fixture_port, seed)
    print(f"{motors.name}; Ctrl-C ends it", flush=True)
    serve(motors)
