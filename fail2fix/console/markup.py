"""Words of others in rich's tables and lines: names, paths and warnings are shown, never obeyed.

rich reads `[red]` and `[link=...]` in a plain string, and passes escape sequences on to the terminal.
"""

from rich.text import Text

from fail2fix.console.printable import one_line


def shown(words: object) -> Text:
    """`words` as they are, in one line: neither rich's markup nor a control sequence."""
    return Text(one_line(str(words)))
