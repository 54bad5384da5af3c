"""`./handlab hands`: list the hands."""


def hands() -> None:
    """List the hands."""
    from handlab_core.hands import HANDS

    for name, build in sorted(HANDS.items()):
        hand = build()
        print(f"{name:20} {hand.n} joints: {' '.join(hand.joints)}")
