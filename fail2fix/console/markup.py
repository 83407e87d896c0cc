"""Show untrusted text in rich's tables and lines without its markup and control sequences.

rich reads `[red]` and `[link=...]` in a plain string, and passes escape sequences on to the terminal.
"""

from rich.text import Text

from fail2fix.console.printable import one_line


def shown(words: object) -> Text:
    """`words` in one line, unchanged except for escaped control characters."""
    return Text(one_line(str(words)))
