r"""Units of length, mass, time, angle and money after a value: known ones may be left out, but not confused.

Knows: names of units. Must not know: values, what an answer is.

>>> different("cm", "centimeter"), different("cm", "m/s"), different("squarecm", "cm^2"), different("cm", "apple")
(False, True, False, False)
>>> split(r"2\sqrt{3} \text{ cm}^2")
('2\\sqrt{3}', 'cm^2')
"""

import re

_SPELLINGS = """
    m meter metre | cm centimeter centimetre | mm millimeter millimetre | km kilometer kilometre | in inch inche
    ft feet foot | yd yard | mi mile | kg kilogram | g gram | mg | lb pound | oz ounce | s sec second | min minute
    h hr hour | day | week | year | degree deg circ | radian rad | dollar usd | cent | l liter litre | ml milliliter
"""
_UNITS = {name: group.split()[0] for group in re.split(r"[|\n]", _SPELLINGS) for name in group.split()}
_UNIT_WORDS = frozenset({"square", "cubic", "unit", "per", "sq", "cu"})
_POWER_WORDS = re.compile(r"(?:(square|sq)|cubic|cu)(?=[a-z])")
_BEHIND = re.compile(
    r"(?:\s*\\text ?\{ ?(?P<text>(?:[a-zA-Z./ -]|\^\d){1,40})\}"
    r"|\s(?P<bare>[a-zA-Z]{3,20}(?:[. ]{1,3}[a-zA-Z]{2,20}){0,3}))"
    r"(?P<power> ?\^ ?\{?\d\}?)?\Z"
)


def different(one: str, other: str) -> bool:
    """Whether both name known units that differ; in the spelling of `exact_number.Number.unit`."""
    names = [_canonical(unit) for unit in (one, other)]
    return None not in names and names[0] != names[1]


def split(text: str, trusted: bool = False) -> tuple[str, str]:
    """An expression and the unit after it, or "". Unknown words count as a unit only in a trusted text."""
    found = _BEHIND.search(text)
    if not found or not found.start():
        return text, ""
    said = found["text"] or found["bare"]
    # A capital letter alone is no unit: 7 M may be seven millions.
    known = all(_is_known(name if len(name) == 1 else name.lower()) for name in re.findall("[a-zA-Z]+", said))
    if not known and not (trusted and found["text"]):
        return text, ""
    return text[: found.start()].strip(), name_of(said + (found["power"] or ""))


def name_of(text: str) -> str:
    """A unit's name as compared: lower case, singular, without blanks, braces and full stops."""
    name = re.sub(r"[\s.{}]", "", text).lower()
    return name[:-1] if len(name) > 3 and name.endswith("s") else name


def _is_known(name: str) -> bool:
    return name in _UNITS or name.removesuffix("s") in _UNITS.keys() | _UNIT_WORDS


def _canonical(unit: str) -> str | None:
    """One spelling of a known unit with its powers and quotients; None for other words."""
    power = _POWER_WORDS.match(unit)
    if power:
        unit = f"{unit[power.end() :]}^{2 if power[1] else 3}"
    parts = [name_of(part) for part in re.findall(r"[a-z]+|[^a-z{}]", unit)]
    if not all(_UNITS.get(part) for part in parts if part.isalpha()) or not any(map(str.isalpha, parts)):
        return None
    return "".join(_UNITS.get(part, part) for part in parts)
