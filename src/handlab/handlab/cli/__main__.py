"""Run the command line as a module."""

from handlab.cli import ended_at_once

with ended_at_once():
    from handlab.cli.program import main

main()
