"""Which block of a response is the program."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fail2fix.verify.code.program_text import MAX_PROGRAM_CHARS, find_program

CASES = {
    "one block": ("```python\nx = 1\n```", "x = 1\n"),
    "a bare fence": ("```\nx = 1\n```", "x = 1\n"),
    "short names": ("```py\nx = 1\n```", "x = 1\n"),
    "capitals and attributes": ("```Python title=a.py\nx = 1\n```", "x = 1\n"),
    "the last of two": ("```python\nx = 1\n```\nno:\n```python\nx = 2\n```\n", "x = 2\n"),
    "after reasoning": ("<think>```python\nx = 1\n```</think>\n```python\nx = 2\n```", "x = 2\n"),
    "only in reasoning": ("<think>```python\nx = 1\n```</think>\nIt is above.", ""),
    "in reasoning without an end": ("<think>```python\nx = 1\n```\n", ""),
    "a mark of reasoning in a program": ("```python\nx = '<think>'\n```", "x = '<think>'\n"),
    "an unclosed last one": ("```python\nx = 1\n```\n```python\nx = 2\n", "x = 1\n"),
    "only an unclosed one": ("```python\nx = 1\n", ""),
    "another language last": ("```python\nx = 1\n```\n```bash\nls\n```", "x = 1\n"),
    "only another language": ("```bash\nls\n```", ""),
    "an unclosed one in another language last": ("```python\nx = 1\n```\n```json\n{", "x = 1\n"),
    "no fence": ("def f(): return 1", ""),
    "tildes": ("~~~\nx = 1\n~~~", "x = 1\n"),
    "a longer fence holds a shorter one": ("````\n```\nx = 1\n```\n````", "```\nx = 1\n```\n"),
    "line ends of Windows": ("```python\r\nx = 1\r\n```\r\n", "x = 1\r\n"),
    "an empty block": ("```python\n\n```", ""),
    "an inline fence is no fence": ("so ```x = 1``` it is", ""),
    "nothing": ("", ""),
    "too long": (f"```\n{'x' * (MAX_PROGRAM_CHARS + 1)}\n```", ""),
    "a lone surrogate": ("```\nx = '\ud800'\n```", "x = '?'\n"),
    "in a list": ("1. So:\n   ```python\n   if x:\n       y\n   ```\n", "if x:\n    y\n"),
    "in a list, tildes": ("- So:\n  ~~~\n  x = 1\n  ~~~", "x = 1\n"),
    "in a list of two figures": ("10. So:\n    ```python\n    x = 1\n    ```", "x = 1\n"),
    "in a list in a list": ("- a\n  1. b:\n\n     ```python\n     x = 1\n\n     y\n     ```", "x = 1\n\ny\n"),
    "indented by tabs": ("- So:\n\t```python\n\tif x:\n\t\ty\n\t```", "if x:\n\ty\n"),
    "right behind a list's mark": ("1. ```python\n   if x:\n       y\n   ```", "if x:\n    y\n"),
    "closed at the margin": ("   ```python\n   x = 1\n```\n", "x = 1\n"),
    "a fence in a text of the program": ('```\nx = """\n    ```\n"""\n```', 'x = """\n    ```\n"""\n'),
    "a byte order mark in front": ("\ufeff```python\nx = 1\n```", "x = 1\n"),
    "a byte order mark in the block": ("```python\n\ufeffx = 1\n```", "x = 1\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_rule(name: str) -> None:
    response, program = CASES[name]
    assert find_program(response) == program


LAST_MARKED = {
    "the last block": ("```python\nx = 1\n```\n```python\nx = 2\n```\n", "x = 2\n"),
    "in any language": ("```python\nx = 1\n```\n```bash\nls\n```", "ls\n"),
    "between blocks, if the last does not close": ("```python\nx = 1\n```\nno\n```python\nx = 2\n", "no\n"),
    "a mark in a line": ("```python\nx = 1\nuse ```", "x = 1\n"),
    "one mark": ("```python\nx = 1\n", ""),
}


@pytest.mark.parametrize("name", LAST_MARKED)
def test_livecodebenchs_own_rule(name: str) -> None:
    response, program = LAST_MARKED[name]
    assert find_program(response, "livecodebench") == program


@given(st.text(st.characters(codec="utf-8")), st.text(alphabet="ab `~\n"))
def test_a_programs_lines_are_a_part_of_its_response(before: str, after: str) -> None:
    response = f"{before}\n```python\nx = 1\n```\n{after}"
    assert all(line in response for line in find_program(response).splitlines())


def test_time_is_linear_in_the_response() -> None:
    for unit in ("```\n", "`", "````` ", "~~~\n```\n", "``` a b c d e\n", "    ```"):
        start = time.monotonic()
        find_program(unit * (200_000 // len(unit)))
        assert time.monotonic() - start < 2.0
