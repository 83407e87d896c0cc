"""Parse the arguments of our commands, and end them: bad arguments and secrets in one line and exit status 2."""

import argparse
import os
import select
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from fail2fix.console.printable import input_errors_in_one_line, one_line
from fail2fix.console.secret_text import refuse_secret_words

CLOSED_PIPE = 141  # 128 + SIGPIPE, as shells report it


class OneLineParser(argparse.ArgumentParser):
    """Prints errors in one line, with the last word of `prog`: "prepare" of "python -m fail2fix.prepare"."""

    def parse_known_args(  # type: ignore[override]  # argparse types it by overloads
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """Parse as argparse does; refuse words that hold a secret, because commands write their arguments to files."""
        with input_errors_in_one_line(self.prog.rpartition(".")[2]):
            refuse_secret_words(sys.argv[1:] if args is None else args, os.environ)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog.rpartition('.')[2]}: error: {one_line(message)}\n")


def add_fields(
    parser: argparse.ArgumentParser, settings: type[Any], show_defaults: bool = True, without: Sequence[str] = ()
) -> None:
    """Add an option for each field of a dataclass that has metadata, but for fields `without`.

    The metadata are argparse's keywords, and `flag` where the option has another name than its field. Parsed arguments
    hold only the options that were given, so that the dataclass's own defaults apply.
    """
    hints = get_type_hints(settings)
    for each in fields(settings):
        if not each.metadata or each.name in without:
            continue
        is_flag = isinstance(each.default, bool)
        kind = {"action": "store_true"} if is_flag else {"type": type(each.default)}
        choices = {"choices": get_args(hints[each.name])} if get_origin(hints[each.name]) is Literal else {}
        keywords: dict[str, Any] = {"default": argparse.SUPPRESS, **kind, **choices, **each.metadata}
        if show_defaults and not is_flag and each.default not in (MISSING, "", None, ()):
            keywords["help"] += f" (default: {each.default})"
        flag = keywords.pop("flag", each.name).replace("_", "-")
        parser.add_argument(f"--{flag}", dest=each.name, **keywords)


def given_fields(given: argparse.Namespace, settings: type[Any]) -> dict[str, Any]:
    """The fields of a dataclass whose options (`add_fields`) were given."""
    return {each.name: getattr(given, each.name) for each in fields(settings) if each.metadata and each.name in given}


def run_command(main: Callable[[], int | None]) -> NoReturn:
    """Run a command and end the process with its status; quietly with 141 if the reader of stdout has left (`| head`).

    rich answers a closed pipe with an exit of its own, whose context is the closed pipe.
    """
    try:
        status = main()
        if sys.stdout:  # None where it was closed before the start
            sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:
        by_rich = isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)
        if not (by_rich or (isinstance(error, BrokenPipeError) and _is_unread(sys.stdout.fileno()))):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered is lost
        status = CLOSED_PIPE
    sys.exit(status)


def _is_unread(descriptor: int) -> bool:
    """Whether a descriptor is a pipe or socket whose reader has left."""
    watch = select.poll()
    watch.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0))
