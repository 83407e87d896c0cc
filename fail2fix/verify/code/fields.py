"""Read a JSON object field by field; errors name the field.

>>> Fields({"isolation": "together"}).choice("isolation", "split", "together")
'together'
"""

import re
from collections.abc import Mapping
from typing import Any

from fail2fix.verify.errors import GroundTruthError


class Fields:
    """The fields of one JSON object, each taken once; the rest is unknown."""

    def __init__(self, fields: Any, where: str = "") -> None:
        if not isinstance(fields, Mapping):
            raise GroundTruthError(f"{where or 'ground truth'} must be an object, not {type(fields).__name__}")
        self._rest = dict(fields)
        self._where = f"{where}." if where else ""

    def take(self, name: str, kind: type | tuple[type, ...], *default: Any) -> Any:
        if name not in self._rest and not default:
            raise GroundTruthError(f"{self._where}{name} is missing")
        if name not in self._rest:
            return default[0]
        value = self._rest.pop(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind not in (bool, object)):
            wanted = " or ".join(each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,)))
            raise GroundTruthError(f"{self._where}{name} must be {wanted}, not {type(value).__name__}")
        return value

    def choice(self, name: str, *choices: str, required: bool = False) -> str:
        """One of `choices`, the first of which is the default unless the field is required."""
        value = self.take(name, str, *(() if required else choices[:1]))
        if value not in choices:
            raise GroundTruthError(f"{self._where}{name}={value!r} must be one of {', '.join(choices)}")
        return str(value)

    def items(self, name: str, kind: type, *default: Any) -> list[Any]:
        """A list of at least one `kind`, or the default."""
        items = self.take(name, list, *default)
        for index, item in enumerate(items):
            if not isinstance(item, kind):
                place = f"{self._where}{name}[{index}]"
                raise GroundTruthError(f"{place} must be {kind.__name__}, not {type(item).__name__}")
        if not items and not default:
            raise GroundTruthError(f"{self._where}{name} is empty")
        return list(items)

    def name(self, name: str, pattern: re.Pattern[str], *default: str) -> str:
        value = self.take(name, str, *default)
        if value not in default and not pattern.fullmatch(value):
            raise GroundTruthError(f"{self._where}{name}={value!r} is not a name like f or Solution().f")
        return str(value)

    def refuse_rest(self) -> None:
        if self._rest:
            raise GroundTruthError(f"unknown field {self._where}{min(self._rest)}")
