"""Run a measurement, and keep its result."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from handlab.benches.kept import chosen
from handlab.benches.result import Bench, as_text, origin, results
from handlab.reporting.generated_tables import rewrite_pages
from handlab_core.errors import UnknownName
from handlab_core.system.files import check_writable, write_atomically
from handlab_core.system.paths import share


def run_bench(
    name: str, benches: Mapping[str, Bench], seed: int, write: bool, options: Any = None
) -> dict[str, Any]:
    """Measure, and with `write` keep each part of the result in results/<name>.json.

    Args:
        name: name of the bench.
        benches: benches by name.
        seed: random seed.
        write: keep the result.
        options: options of the bench; None: the defaults. A `hardware` that is not the default
            becomes part of the file's name, unless the bench keeps parts.

    Raises:
        UnknownName: there is no such bench; the message lists all benches.
        CannotWrite: the result is to be kept, and its folder does not allow it.
    """
    if name not in benches:
        raise UnknownName("bench", name, benches)
    bench = benches[name]
    if write:  # checked before hours of measuring
        check_writable(results())
        check_writable(share())
    if options is None and bench.options is not None:
        options = bench.options()
    changed = _changed(options)
    words = [word for option, value in changed.items() for word in _words(option, value)]
    # Before measuring: a long bench should not name a commit that came meanwhile.
    made = origin(shlex.join([name, *words]))
    apart = "hardware" in changed and not bench.keeps_parts
    file = f"{name}_{changed['hardware']}" if apart else name
    for each in _in_parts(bench, options) if write else [options]:
        result = bench.measure(seed) if each is None else bench.measure(seed, each)
        if write:
            made["load"] = round(os.getloadavg()[1], 1)  # of five minutes: what else ran shows here
            write_atomically(results() / f"{file}.json", as_text(result.plain() | made))
            if result.draw is not None:
                result.draw()
            rewrite_pages()
    return result.plain()


def _in_parts(bench: Bench, options: Any) -> list[Any]:
    """Return the options of each part; the options alone if the bench has no parts."""
    if bench.parts is None:
        return [options]
    option, known = bench.parts
    names = chosen(option, getattr(options, option), known)
    return [replace(options, **{option: name}) for name in names]


def _words(option: str, value: Any) -> list[str]:
    """Return the words of the command line that give an option a value."""
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    return [f"--{option}", str(value)]


def _changed(options: Any) -> dict[str, Any]:
    """Return the options that differ from their defaults, by the name of the command line."""
    if options is None:
        return {}
    plain = type(options)()
    return {
        field.name.replace("_", "-"): getattr(options, field.name)
        for field in fields(options)
        if getattr(options, field.name) != getattr(plain, field.name)
    }
