"""Resolution of doors: what is accepted, and the one line that refuses the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import pytest

from fail2fix.method.doors import resolve
from fail2fix.method.errors import InputError


class Rule(Protocol):
    def __call__(self, reward: float, correct: bool, /) -> float: ...


class Words(Protocol):
    header: str

    def text(self) -> str: ...


class Base(ABC):
    @abstractmethod
    def run(self) -> None: ...


def doubled(reward: float, correct: bool, more: float = 0.0) -> float:
    return 2 * reward


def of_one(reward: float) -> float:
    return reward


class Good:
    header = "h"

    def text(self) -> str:
        return ""


class NoText:
    header = "h"


class Unfinished(Base):
    pass


SHIPPED = {"double": f"{__name__}.doubled"}


@pytest.mark.parametrize(
    ("value", "protocol"), [("double", Rule), (f"{__name__}.doubled", Rule), (f"{__name__}.Good", Words)]
)
def test_short_names_and_dotted_paths_are_resolved(value: str, protocol: type) -> None:
    assert resolve("fail2fix.a.b", value, SHIPPED, protocol) in (doubled, Good)


@pytest.mark.parametrize(
    ("value", "protocol", "problem"),
    [
        ("doubel", Rule, r"cannot be loaded \(ModuleNotFoundError: No module named 'doubel'\)"),
        ("", Rule, "not a name or a dotted path"),
        ("a..b", Rule, "not a name or a dotted path"),
        ("math", Rule, "must be a function"),
        ("fail2fix.nowhere.x", Rule, r"cannot be loaded \(\w+: .*nowhere"),
        ("math.nothing", Rule, r"cannot be loaded \(\w+: .*nothing"),
        (f"{__name__}.of_one", Rule, r"must be a function of \(reward, correct\)"),
        (f"{__name__}.SHIPPED", Rule, r"must be a function of \(reward, correct\)"),
        (f"{__name__}.NoText", Words, "lacks text"),
        (f"{__name__}.SHIPPED", Words, "lacks header, text"),
        (f"{__name__}.Unfinished", Base, "lacks run"),
    ],
)
def test_anything_else_is_refused_with_key_value_names_and_reason(value: str, protocol: type, problem: str) -> None:
    allowed = rf"; must be double, or the dotted path of your own {protocol.__name__} \({__name__}\)"
    with pytest.raises(InputError, match=f"^fail2fix.a.b={value}: {problem}.*{allowed}$") as refused:
        resolve("fail2fix.a.b", value, SHIPPED, protocol)
    assert "\n" not in str(refused.value)


def test_a_module_that_fails_while_it_loads_is_refused(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_door.py").write_text("raise RuntimeError('two\\nlines')")  # type: ignore[operator]
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=r"cannot be loaded \(RuntimeError: two lines\)"):
        resolve("fail2fix.a.b", "failing_door.x", SHIPPED, Rule)


class TakesTwo(Good):
    def text(self, more: str) -> str:  # type: ignore[override]
        return more


class Elsewhere:
    def run(self) -> None: ...


@pytest.mark.parametrize(
    ("name", "protocol", "problem"),
    [
        ("TakesTwo", Words, r"text must be a function of \(self\)"),
        ("Elsewhere", Base, "must be a subclass of Base"),
    ],
)
def test_methods_that_take_other_arguments_and_strangers_are_refused(name: str, protocol: type, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        resolve("fail2fix.a.b", f"{__name__}.{name}", SHIPPED, protocol)
