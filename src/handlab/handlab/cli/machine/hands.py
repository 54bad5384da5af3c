"""`./handlab hands`: list the hands."""


def hands() -> None:
    """List the hands."""
    from handlab_core.hands import HANDS

    for name, build in sorted(HANDS.items()):
        hand = build()
        kind = "joints" if hand.pneumatics is None else "chambers"
        print(f"{name:20} {hand.n} {kind}: {' '.join(hand.joints)}")
