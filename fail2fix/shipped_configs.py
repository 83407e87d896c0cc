"""Where the shipped configs lie, and the resolver they use.

Loads no engine: commands that only name a config need none.
"""

from pathlib import Path

from omegaconf import OmegaConf


def config_dir() -> str:
    """The shipped configs: beside this file in a wheel, beside the package in a checkout."""
    package = Path(__file__).parent
    folder = package / "configs"
    return str(folder if folder.is_dir() else package.parent / "configs")


def register_resolvers() -> None:
    """Make `${fail2fix_sum:A,B,...}` known: the sum of numbers of tokens, null where one of them is no number."""
    OmegaConf.register_new_resolver("fail2fix_sum", _sum, replace=True)


def _sum(*lengths: object) -> int | None:
    numbers = [length for length in lengths if isinstance(length, int)]
    return sum(numbers) if len(numbers) == len(lengths) else None
