"""Python values as flat JSON, for arguments and results of a program in a sandbox.

Knows: None, bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict, those types themselves (as an
argument, say `int`), and objects of named plain classes (`ListNode`). Must not know: pickle, or anything that runs code
on reading. Both sides use this file: it is imported outside and sent as source text into the sandbox.

A message is `{"root": ref, "nodes": [[tag, content], ...]}`. A ref is a JSON scalar, `["i", hex]` for an int over 64
bits, or `["@", index]` for a node. Nodes are not nested, so depth, sharing and cycles (a linked list of 10,000 nodes, a
ring) need no recursion here and none in JSON.

>>> encode([1, (2.5, "x")])
{'root': ['@', 0], 'nodes': [['list', [1, ['@', 1]]], ['tuple', [2.5, 'x']]]}
>>> decode(encode([1, (2.5, "x")]))
[1, (2.5, 'x')]
"""

from collections.abc import Callable, Iterable
from typing import Any

Message = dict[str, Any]
Node = list[Any]

SMALL_INT = 2**63
SEQUENCES: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
TYPES = {kind.__name__: kind for kind in (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict)}


class NotDataError(ValueError):
    """A value, or a message, that this format cannot carry."""


def encode(value: Any, records: Iterable[type] = ()) -> Message:
    """`value` as a message. Subclasses (Counter, IntEnum, namedtuple) are sent as the type they extend.

    `records`: classes whose instances may be sent, by name and attributes.

    Raises:
        NotDataError: for any other object.
    """
    nodes: list[Any] = []
    index_of: dict[int, int] = {}
    keep_alive: list[Any] = []

    def ref(item: Any) -> Any:
        if item is None or type(item) in (bool, float, str):
            return item
        if isinstance(item, int):
            number = int.__index__(item)
            return number if -SMALL_INT <= number < SMALL_INT else ["i", hex(number)]
        if isinstance(item, (float, str)):
            return float.__float__(item) if isinstance(item, float) else str.__str__(item)
        if id(item) not in index_of:
            index_of[id(item)] = len(nodes)
            nodes.append(None)
            keep_alive.append(item)
        return ["@", index_of[id(item)]]

    root = ref(value)
    done = 0
    while done < len(keep_alive):
        nodes[done] = _node(keep_alive[done], ref, records)
        done += 1
    return {"root": root, "nodes": nodes}


def _node(item: Any, ref: Callable[[Any], Any], records: Iterable[type]) -> Node:
    for tag, kind in SEQUENCES.items():
        if isinstance(item, kind):
            return [tag, [ref(part) for part in kind.__iter__(item)]]
    if isinstance(item, dict):
        return ["dict", [[ref(key), ref(part)] for key, part in dict.items(item)]]
    if isinstance(item, (bytes, bytearray)):
        return ["bytes", bytes(item).hex()]
    if isinstance(item, complex):
        return ["complex", [item.real, item.imag]]
    if any(item is kind for kind in TYPES.values()):
        return ["type", item.__name__]
    if type(item) in records:
        attributes = object.__getattribute__(item, "__dict__")
        return ["object", [type(item).__name__, [[key, ref(part)] for key, part in dict.items(attributes)]]]
    raise NotDataError(f"a {type(item).__name__} is not data")


def decode(message: Message, records: dict[str, type] | None = None) -> Any:
    """The value of a message; `records`: classes of its objects by name.

    Raises:
        NotDataError: the format does not allow the message, none of which has been executed.
    """
    try:
        return _Decoder(message, records or {}).value()
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise NotDataError(f"not a value message: {type(error).__name__}: {error}") from None


class _Decoder:
    """Makes containers that can be empty first and fills them later; makes the others on demand."""

    def __init__(self, message: Message, records: dict[str, type]) -> None:
        self.message, self.records, self.nodes = message, records, message["nodes"]
        self.built: dict[int, Any] = {}

    def value(self) -> Any:
        shells: dict[str, Any] = {"list": list, "set": set, "dict": dict}
        for index, (tag, content) in enumerate(self.nodes):
            if tag in shells:
                self.built[index] = shells[tag]()
            elif tag == "object":
                self.built[index] = object.__new__(self.records[content[0]])
        for index, (tag, content) in enumerate(self.nodes):
            self._fill(self._at(index), tag, content)
        return self._ref(self.message["root"])

    def _fill(self, shell: Any, tag: str, content: Any) -> None:
        if tag == "list":
            shell.extend(self._ref(part) for part in content)
        elif tag == "set":
            shell.update(self._ref(part) for part in content)
        elif tag == "dict":
            shell.update((self._ref(key), self._ref(part)) for key, part in content)
        elif tag == "object":
            shell.__dict__.update((str(key), self._ref(part)) for key, part in content[1])

    def _ref(self, ref: Any) -> Any:
        if not isinstance(ref, list):
            return scalar(ref)
        kind, content = ref
        return int(content, 16) if kind == "i" else self._at(content)

    def _at(self, index: int) -> Any:
        if index not in self.built:
            tag, content = self.nodes[index]
            if tag == "bytes":
                self.built[index] = bytes.fromhex(content)
            elif tag == "complex":
                self.built[index] = complex(*content)
            elif tag == "type":
                self.built[index] = TYPES[content]
            elif tag in ("tuple", "frozenset"):
                self.built[index] = SEQUENCES[tag](self._ref(part) for part in content)
            else:
                raise NotDataError(f"unknown tag {tag!r}")
        return self.built[index]


def scalar(ref: Any) -> Any:
    if ref is None or isinstance(ref, (bool, int, float, str)):
        return ref
    raise NotDataError(f"{type(ref).__name__} is not a ref")
