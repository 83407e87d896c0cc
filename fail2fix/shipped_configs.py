"""Where the shipped configs lie. Loads no engine: commands that only name a config need none."""

from pathlib import Path


def config_dir() -> str:
    """The shipped configs: beside this file in a wheel, beside the package in a checkout."""
    package = Path(__file__).parent
    folder = package / "configs"
    return str(folder if folder.is_dir() else package.parent / "configs")
