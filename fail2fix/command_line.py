"""What our commands share: bad arguments end in one line and exit status 2.

Knows: argparse. Must not know: any command.
"""

import argparse
from typing import NoReturn


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, under the last word of `prog`: "prepare" of "python -m fail2fix.prepare"."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog.rpartition('.')[2]}: error: {message}\n")
