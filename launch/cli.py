"""The command line: `stillwatch` or `python -m launch`.

Exit codes: 0 done, 1 the answer is no (a demo that found nothing, a policy that is wrong), 2 wrong usage or settings,
3 a part is not available, 4 no such thing, 5 a conflict. `--json` prints what programs read; progress goes to stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

import typer

from launch import commands_backtest, commands_data, commands_operate, commands_run
from stillwatch.errors import Conflict, NotFound, StillwatchError, Unavailable

_EXIT_CODES: Final[tuple[tuple[type[StillwatchError], int], ...]] = ((Unavailable, 3), (NotFound, 4), (Conflict, 5))

app = typer.Typer(
    name="stillwatch",
    help="Finds model distillation campaigns in the traffic of an inference API and cuts them off.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_COMMANDS: Final[tuple[Callable[..., None], ...]] = (
    commands_run.up,
    commands_run.demo,
    commands_data.simulate,
    commands_data.replay,
    commands_backtest.backtest,
    commands_operate.score,
    commands_operate.explain,
    commands_operate.campaigns,
    commands_operate.revoke,
    commands_operate.undo,
    commands_operate.enforcement,
)
for command in _COMMANDS:
    app.command()(command)
for name, group in (("streams", commands_run.streams), ("config", commands_run.config), ("keys", commands_run.keys)):
    app.add_typer(group, name=name)


def main() -> int:
    try:
        app(standalone_mode=False)
    except StillwatchError as error:
        print(f"stillwatch: {error}", file=sys.stderr)
        return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 2)
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        return 130
    except Exception as error:
        show = getattr(error, "show", None)  # click's usage errors print themselves
        if show is None:
            raise
        show()
        return 2
    return 0
