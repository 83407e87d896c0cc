"""Assertion scripts: every assertion is counted, and calls go to the program's functions or their stand-ins.

Knows: test scripts of the data set. Must not know: where the functions they call run.
"""

import ast
import builtins
import contextlib
from collections.abc import Callable
from typing import Any

from fail2fix.verify.code.inside.pipes import End

Space = dict[str, Any]


class ProgramError(Exception):
    """The program raised an error that is not a built-in exception, or cannot be made from a text."""


def same_error(name: object, text: object) -> Exception:
    """An exception of the built-in class that the program raised, with its `text`, for tests that expect one."""
    kind = getattr(builtins, name, None) if isinstance(name, str) else None
    if not isinstance(kind, type) or not issubclass(kind, Exception):
        return ProgramError(name, text)
    # Made as they are, some say another text than they are given (KeyError quotes it) or need more than one.
    saying = {"__init__": lambda self, *_: None, "__str__": lambda self: str(text)}
    for each in (kind, type(kind.__name__, (kind,), saying)):
        with contextlib.suppress(TypeError):
            error = each(text)
            if str(error) == text:
                return error
    return ProgramError(name, text)


def run_scripts(tests: dict[str, Any], space: Space, tally: Callable[[bool], None]) -> None:
    """Run every script in `space` and tally each assertion reached; an error outside assertions is a failed test.

    Raises:
        End: "stopped" after a first failure.
    """

    space["__check__"] = lambda: _Attempt(tally, lambda: tally(True))
    for source in tests["tests"]:
        with _Attempt(tally, lambda: None):
            exec(_counted(source), space)
            if tests["entry_point"]:
                space["check"](space["candidate"])


class _Attempt(contextlib.AbstractContextManager[Any]):
    """Ends the run at an error of its block, tallied as a failure; calls `succeed` after a block without one."""

    def __init__(self, tally: Callable[[bool], None], succeed: Callable[[], None]) -> None:
        self._tally, self._succeed = tally, succeed

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._succeed()
        elif issubclass(kind, Exception):
            self._tally(False)
            raise End("stopped")


def _counted(source: str) -> Any:
    """A test script with every `assert x` turned into `with __check__(): assert x`, which keeps x in its scope."""
    tree = ast.fix_missing_locations(_CountAssertions().visit(ast.parse(source)))
    # Optimized, assertions would be left out, and pass.
    return compile(tree, "tests.py", "exec", dont_inherit=True, optimize=0)


class _CountAssertions(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        check = ast.Call(func=ast.Name(id="__check__", ctx=ast.Load()), args=[], keywords=[])
        assertion = ast.copy_location(ast.Assert(test=node.test), node)
        return ast.copy_location(ast.With(items=[ast.withitem(context_expr=check)], body=[assertion]), node)
