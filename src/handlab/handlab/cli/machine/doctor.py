"""`./handlab doctor`: check this machine, and repair what can be repaired."""

from typing import Annotated

import typer

from handlab.cli.parameters import AsJson, finish


def doctor(
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Repair what can be repaired, one line each"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check that this machine has what handlab needs."""
    from handlab.machine.checks import check_all, repair

    result: dict[str, object] = {}
    failed = False
    for check in check_all():
        mark = "ok " if check.ok else "BAD" if check.needed else "-- "
        print(f"{mark}  {check.name}: {check.found}")
        repaired = False
        if not check.ok and fix:
            repaired, effect = repair(check)
            print(f"     {'repaired' if repaired else 'not repaired'}: {effect}")
        elif not check.ok:
            print(f"     {check.remedy}")
        result[check.name] = check.ok or repaired
        failed |= check.needed and not check.ok and not repaired
    finish(result, as_json)
    raise SystemExit(failed)
