"""Errors of damaged input become one line that says what, why and what to do."""

import pytest

from fail2fix.method.errors import InputError, reading


def test_an_error_becomes_one_line_with_its_reason_and_hint() -> None:
    with pytest.raises(InputError, match=r"^a\.json: not a run \(line one line two\): delete it$") as caught:  # noqa: SIM117
        with reading("a.json: not a run", ValueError, hint="delete it"):
            raise ValueError("line one\nline two")
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(2, "No such file or directory", "a.json"), "No such file or directory"),
        (KeyError("settings"), "KeyError: 'settings'"),
        (AttributeError(), "AttributeError"),
    ],
)
def test_a_reason_says_enough(error: Exception, reason: str) -> None:
    with pytest.raises(InputError) as caught, reading("a.json: damaged"):
        raise error
    assert str(caught.value) == f"a.json: damaged ({reason})"


def test_other_errors_and_input_errors_pass_unless_they_are_listed() -> None:
    with pytest.raises(ZeroDivisionError), reading("a.json"):
        raise ZeroDivisionError
    with pytest.raises(InputError, match="^key: wrong$"), reading("a.json"):
        raise InputError("key: wrong")
    with pytest.raises(InputError, match=r"^row 3 \(key: wrong\)$"), reading("row 3", InputError):
        raise InputError("key: wrong")
