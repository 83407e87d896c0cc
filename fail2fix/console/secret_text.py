"""Detect secrets in settings: keys, tokens and passwords, which belong in the environment.

Settings are written to the run's folder, printed, and sent to trackers. An interpolation of the environment is refused
like the value, because trackers receive it resolved.

``python -m fail2fix.console.secret_text WORD ...`` checks words for scripts: one line and exit status 2 for a secret.

Example: ``kind_of_secret("trainer.note", "hf_abcdefghijklmnopqrst", {})`` is ``"a Hugging Face token"``.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence

from fail2fix.console.printable import input_errors_in_one_line
from fail2fix.method.errors import InputError

_SHAPES = {
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{16,}",
    "an API key": r"\b(?:sk|rk|pk)-(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{16,}|\b(?:AIza|wandb_v\d_)[A-Za-z0-9_-]{30,}",
    "an AWS key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a token of a code host": r"\b(?:gh[pousr]_|github_pat_|glpat-)[A-Za-z0-9_-]{16,}",
    "a Slack token": r"\bxox[a-z]-[A-Za-z0-9-]{10,}",
    "a signed token": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "an address with a password in it": r"://[^/\s:@]*:[^/\s@]+@",
}
# Any of them; a group each, so none has one of its own.
_SHAPE = re.compile("|".join(f"({shape})" for shape in _SHAPES.values()))
# Names of settings that hold secrets only; not `key` alone (`data.prompt_key`).
_SECRET_SETTING = re.compile(
    r"(?:^|_)(?:api_?key|access_?key(?:_id)?|secret_?key|private_?key|auth_?key|(?:api|access|auth|hf|hub)_token|token"
    r"|secret|password|passwd|credentials?)$",
    re.IGNORECASE,
)
_SECRET_VARIABLE = re.compile(r"(?:KEY|KEY_ID|TOKEN|SECRET|PASSWORD|PASSWD)$", re.IGNORECASE)
# As in sbatch's `--export=ALL,NAME=value`.
_ASSIGNED = re.compile(r"(?:^|[,=\s])([A-Z][A-Z0-9_]*)=(?=[^,\s])")
_INTERPOLATED = re.compile(r"\$\{\s*oc\.(?:env|decode)\s*:[^}]*?(\w+)\s*[,}]")
# A shorter value of a variable (`1`, `true`, `none`) is not a secret, and would occur in many settings.
MIN_SECRET_CHARS = 8


def kind_of_secret(name: str, value: str, environment: Mapping[str, str]) -> str:
    """The kind of secret in the setting `name`, without repeating it; "" if none."""
    if match := _SHAPE.search(value):
        return next(kind for kind, found in zip(_SHAPES, match.groups(), strict=True) if found)
    for variable in _INTERPOLATED.findall(value):
        if _SECRET_VARIABLE.search(variable):
            return f"the environment's {variable}"
    for variable, secret in secrets_of(environment):
        if secret in value:
            return f"the value of the environment's {variable}"
    last = name.replace("-", "_").rpartition(".")[2]
    return "a secret by its name" if value.strip() and _SECRET_SETTING.search(last) else ""


def secrets_of(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Names and values of the environment's secrets."""
    for variable, value in environment.items():
        if _SECRET_VARIABLE.search(variable) and len(value.strip()) >= MIN_SECRET_CHARS:
            yield variable, value.strip()


def refuse_secret(name: str, value: str, environment: Mapping[str, str]) -> None:
    """Refuse a setting that holds a secret.

    Raises:
        InputError: names the setting and the kind of secret, and does not repeat it.
    """
    _refuse(name, kind_of_secret(name, value, environment))


def _refuse(name: str, kind: str) -> None:
    if kind:
        raise InputError(
            f"{name}: is {kind}, and settings are written to files, printed and sent to trackers; remove it, and leave "
            "secrets in the environment or in the file of the service's own login"
        )


def refuse_secret_words(words: Sequence[str], environment: Mapping[str, str]) -> None:
    """Refuse a command line with a secret in it: `name=value`, `--name value`, `--x=NAME=value` or a single word.

    Raises:
        InputError: as `refuse_secret`.
    """
    option = "command line"
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            name, value = option, word
        refuse_secret(_readable(name) or option, value, environment)
        for variable in filter(_SECRET_VARIABLE.search, _ASSIGNED.findall(word)):
            _refuse(variable, "a secret by its name")
        option = word if word.startswith("--") else "command line"


def _readable(name: str) -> str:
    """The name of an override without its signs; "" if it is not a name, and may be part of a secret."""
    bare = name.lstrip("+~-")
    return bare if re.fullmatch(r"[\w.@/-]+", bare) and not _SHAPE.search(bare) else ""


def main() -> None:
    """Check the command line."""
    with input_errors_in_one_line("fail2fix"):
        refuse_secret_words(sys.argv[1:], os.environ)


if __name__ == "__main__":
    main()
