"""Render the Jinja templates of pages and model cards; an unknown name in a template is an error."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(package: str, template: str, values: dict[str, Any], escape: bool) -> str:
    """The text of a package's template. ``escape``: whether values are escaped for HTML."""
    environment = Environment(
        loader=PackageLoader(package, "."),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)
