"""The page of an identification: measured and fitted motion, and the estimates."""

import base64
import html
import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no screen needed
import matplotlib.pyplot as plt
import numpy as np

from handlab.reporting.run_report import STYLE
from handlab_core.hands import Hand
from handlab_core.system.files import write_atomically
from handlab_core.worlds.excitation import Recording
from handlab_core.worlds.fitted import QUANTITIES, HandFit
from handlab_sim.identification.fit import ServoFit

SHOWN = 12.0  # s; end of the recording that is drawn
UNITS = {
    "gain": "N m/rad", "damping": "N m s/rad", "friction": "N m", "armature": "kg m2", "delay": "s",
    "zero": "rad", "backlash": "rad",
}  # fmt: skip


def write_page(
    folder: Path, hand: Hand, recording: Recording, found: ServoFit, fit: HandFit
) -> Path:
    """Write `identification.html` into a folder and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = base64.b64encode(_drawn(hand, recording, found)).decode()
    head = "".join(f"<th>{name}<br><small>{UNITS[name]}</small></th>" for name in QUANTITIES)
    rows = "".join(
        f"<tr><td>{html.escape(joint)}</td>"
        + "".join(
            f"<td>{one.value:.4g}<br><small>{one.low:.3g} to {one.high:.3g}</small></td>"
            for one in (getattr(fit.joints[joint], name) for name in QUANTITIES)
        )
        + "</tr>"
        for joint in hand.joints
    )
    page = folder / "identification.html"
    text = (
        f"<!doctype html><meta charset='utf-8'><title>Servos of {html.escape(hand.name)}</title>"
        f"<style>{STYLE} td, th {{ padding: .2rem .8rem; text-align: right }}</style>"
        f"<h1>Servos of the {html.escape(hand.name)}</h1>"
        f"<p class='lead'>{html.escape(fit.made)}; measured and fitted motion differ by "
        f"{1e3 * fit.residual:.2f} mrad (root of the mean square). Small: intervals of 95 %.</p>"
        f"<table><tr><th></th>{head}</tr>{rows}</table>"
        f"<h2>Motion, last {SHOWN:g} s</h2><img alt='' src='data:image/png;base64,{drawn}'>"
    )
    write_atomically(page, text)
    return page


def _drawn(hand: Hand, recording: Recording, found: ServoFit) -> bytes:
    """Draw measured and fitted angles of every joint; return a PNG."""
    columns = 3 if hand.n % 3 == 0 else 4
    rows = -(-hand.n // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(13, 2.4 * rows), sharex=True, squeeze=False)
    late = recording.read_at > recording.read_at[-1] - SHOWN
    time = recording.read_at[late]
    for joint, axis in enumerate(axes.ravel()[: hand.n]):
        axis.plot(recording.sent_at[late], recording.sent[late, joint], color="#9aa5b1", lw=0.6)
        axis.plot(time, recording.q[late, joint], color="#1f2933", lw=1.2, label="measured")
        axis.plot(time, found.q[late, joint], color="#c53030", lw=0.8, ls="--", label="fitted")
        error = np.sqrt(np.square(recording.q - found.q)[:, joint].mean())
        axis.set_title(f"{hand.joints[joint]}: {1e3 * error:.2f} mrad", fontsize=9, loc="left")
        axis.grid(alpha=0.25)
    axes[0, 0].legend(frameon=False, fontsize=8)
    figure.supxlabel("s")
    figure.supylabel("rad; grey: command")
    figure.tight_layout()
    picture = io.BytesIO()
    figure.savefig(picture, dpi=90)
    plt.close(figure)
    return picture.getvalue()
