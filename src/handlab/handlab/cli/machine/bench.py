"""`./handlab bench`: measure a figure.

Each bench has options of its own, so the words after the verb are read by a command that is made
for the bench; nothing of the benches is imported before that.
"""

import inspect
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from handlab.cli.fields import with_options
from handlab.cli.parameters import AsJson, Seed, finish
from handlab.reporting.terminal import PROGRAM
from handlab_core.errors import UnknownName
from handlab_core.system.validation import checked

FLAGS = ("--json", "--write", "--no-write", "--compose", "--no-compose", "--help")
"""Options without a value."""

if TYPE_CHECKING:
    from handlab.benches.result import Bench


@checked
class _NoOptions:
    """A bench without options of its own."""


def bench(context: typer.Context) -> None:
    """Measure a figure beside its limit; `bench NAME --help` lists the options of one bench."""
    from handlab.benches.table import BENCHES

    words = list(context.args)
    name = name_in(words, BENCHES)
    if name is None:
        named = next((word for word in words if not word.startswith("-")), None)
        if named is not None:
            raise UnknownName("bench", named, BENCHES)
        print(f"Usage: {PROGRAM} bench NAME [OPTIONS]\n\nBenches:")
        for known in BENCHES:
            print(f"  {known}")
        return
    words.remove(name)
    command = bench_command(name, BENCHES[name])
    command.main(words, prog_name=f"{PROGRAM} bench {name}", standalone_mode=False)


def name_in(words: Sequence[str], benches: Collection[str]) -> str | None:
    """Return the first word that names a bench and is not the value of an option."""
    before = ("", *words)
    for previous, word in zip(before, words, strict=False):
        value = previous.startswith("-") and "=" not in previous and previous not in FLAGS
        if word in benches and not value:
            return word
    return None


def bench_command(name: str, chosen: "Bench") -> Any:
    """Return the command of one bench."""
    kind: Any = chosen.options or _NoOptions

    def measure(
        options: kind,
        as_json: AsJson = False,
        seed: Seed = 0,
        write: Annotated[bool, typer.Option(help="Keep the result in results/")] = False,
    ) -> None:
        from handlab.benches.runner import run_bench
        from handlab.benches.table import BENCHES

        given = options if chosen.options else None
        result = run_bench(name, BENCHES, seed, write, given)
        print(
            f"{name}: {result['value']:.4g} {result['unit']}, limit {result['limit']:.4g}, "
            f"ratio {result['ratio']:.3f}"
        )
        finish(result, as_json)

    measure.__doc__ = (inspect.getdoc(chosen.measure) or "").split("\n\nArgs:")[0]
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name)(with_options(measure))
    return typer.main.get_command(app)
