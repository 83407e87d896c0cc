"""What our commands share: bad arguments end in one line and exit status 2, and a secret is a bad argument.

Knows: argparse. Must not know: any command.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from fail2fix.console.printable import one_line
from fail2fix.console.secret_text import refuse_secret_words
from fail2fix.method.errors import InputError


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, under the last word of `prog`: "prepare" of "python -m fail2fix.prepare"."""

    def parse_known_args(  # type: ignore[override]  # argparse types it by overloads
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """As argparse does, but for words that hold a secret: they would stand in what the command writes."""
        try:
            refuse_secret_words(sys.argv[1:] if args is None else args, os.environ)
        except InputError as error:
            self.error(str(error))
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog.rpartition('.')[2]}: error: {one_line(message)}\n")
