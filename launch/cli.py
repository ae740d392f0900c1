"""The command line: `stillwatch` or `python -m launch`.

Exit codes: 0 done, 1 the answer is no (a demo that found nothing, a doctor that warns), 2 wrong usage or settings (or a
doctor that found a fault), 3 a part is not available, 4 no such thing, 5 a conflict. `--json` prints what programs read;
progress goes to stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import typer

from stillwatch.errors import Conflict, NotFound, StillwatchError, Unavailable

_EXIT_CODES: Final[tuple[tuple[type[StillwatchError], int], ...]] = ((Unavailable, 3), (NotFound, 4), (Conflict, 5))

# Which module has which commands. Only what was asked for is imported: Ray alone takes seconds.
_COMMANDS: Final = {
    "up": "commands_run", "demo": "commands_run",
    "simulate": "commands_data", "replay": "commands_data",
    "backtest": "commands_backtest",
    "score": "commands_operate", "explain": "commands_operate", "doctor": "commands_doctor",
    "revoke": "commands_operate", "undo": "commands_safety", "enforcement": "commands_operate",
}  # fmt: skip
_GROUPS: Final = {
    "streams": "commands_run", "config": "commands_run", "keys": "commands_keys",
    "campaigns": "commands_operate", "indicators": "commands_indicators",
    "audit": "commands_audit",
    "approvals": "commands_safety", "never-act": "commands_safety", "deadletters": "commands_deadletters",
}  # fmt: skip


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """With the command that the arguments name, or with all of them: for help, and for what is misspelt."""
    app = typer.Typer(
        name="stillwatch",
        help="Finds model distillation campaigns in the traffic of an inference API and cuts them off.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    # A single command would become the program itself; this keeps it a command.
    app.callback()(lambda: None)
    asked = next((word for word in arguments if not word.startswith("-")), None)
    known = asked in _COMMANDS or asked in _GROUPS
    for name, module in _COMMANDS.items():
        if not known or name == asked:
            app.command(name)(getattr(import_module(f"launch.{module}"), name))
    for name, module in _GROUPS.items():
        if not known or name == asked:
            app.add_typer(getattr(import_module(f"launch.{module}"), name.replace("-", "_")), name=name)
    return app


def main() -> int:
    try:
        # Without its own exits, click answers what `typer.Exit` was raised with.
        done = app_for(sys.argv[1:])(standalone_mode=False)
    except StillwatchError as error:
        print(f"stillwatch: {error}", file=sys.stderr)
        return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 2)
    except typer.Abort:
        return 130
    except Exception as error:
        show = getattr(error, "show", None)  # click's usage errors print themselves
        if show is None:
            raise
        show()
        return 2
    return done if isinstance(done, int) else 0
