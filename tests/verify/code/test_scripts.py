"""What tests of a sandbox see of the program: its errors, made again from data."""

import pytest

from fail2fix.verify.code.inside.scripts import ProgramError, same_error

TOLD = [
    ValueError("negative"),
    KeyError("k"),
    OSError(2, "none"),
    RecursionError(),
    StopIteration("x"),
    SyntaxError("no"),
]


@pytest.mark.parametrize("error", [*TOLD, UnicodeDecodeError("utf-8", b"x", 0, 1, "why")], ids=repr)
def test_an_error_has_its_class_and_text(error: Exception) -> None:
    again = same_error(type(error).__name__, str(error))
    assert isinstance(again, type(error))
    assert str(again) == str(error)


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "ExceptionGroup", "print", "no such", 7, None])
def test_what_is_no_exception_ends_no_supervisor(name: object) -> None:
    assert type(same_error(name, "text")) is ProgramError


@pytest.mark.parametrize("text", [None, 7, ["x"], {"a": 1}])
def test_a_text_that_is_none_is_no_matter(text: object) -> None:
    assert isinstance(same_error("ValueError", text), Exception)
