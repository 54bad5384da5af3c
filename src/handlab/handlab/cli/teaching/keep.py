"""`./handlab keep`: save the last seconds of a running graph."""

from handlab.cli.hardware.options import DomainId
from handlab.cli.parameters import AsJson, finish


def keep(domain: DomainId = None, as_json: AsJson = False) -> None:
    """Save the newest seconds of a running graph as a bag; `--keep-last` of `up` says how many."""
    from handlab.graph.graph_hand import keep_last

    bag = keep_last(domain)
    print(f"{bag}: saved")
    finish({"bag": bag}, as_json)
