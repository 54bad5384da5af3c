"""`./handlab doctor`: check this machine."""

from handlab.cli.parameters import AsJson, finish


def doctor(as_json: AsJson = False) -> None:
    """Check that this machine has what handlab needs."""
    from handlab.doctor import check_all

    checks = check_all()
    for check in checks:
        mark = "ok " if check.ok else "BAD" if check.needed else "-- "
        print(f"{mark}  {check.name}: {check.found}")
        if not check.ok:
            print(f"     {check.remedy}")
    finish({check.name: check.ok for check in checks}, as_json)
    raise SystemExit(any(check.needed and not check.ok for check in checks))
