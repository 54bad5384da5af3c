"""Run the command line as a module."""

from handlab.cli.program import main

main()
