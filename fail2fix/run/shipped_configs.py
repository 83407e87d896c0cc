"""Find the shipped configs, and register the resolvers they use. Imports no engine."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf


def config_dir() -> str:
    """The folder of the shipped configs: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parents[1]
    folder = package / "configs"
    return str(folder if folder.is_dir() else package.parent / "configs")


def register_resolvers() -> None:
    """Register the interpolations of the shipped configs.

    ``${fail2fix_sum:A,B,...}``: the sum of numbers of tokens, null if one of them is not a number.
    ``${unless_epochs:STEPS}``: the steps, null if ``trainer.total_epochs`` is set.
    """
    OmegaConf.register_new_resolver("fail2fix_sum", _sum, replace=True)
    OmegaConf.register_new_resolver("unless_epochs", _unless_epochs, replace=True)


def _sum(*lengths: object) -> int | None:
    numbers = [length for length in lengths if isinstance(length, int)]
    return sum(numbers) if len(numbers) == len(lengths) else None


def _unless_epochs(steps: int, *, _root_: DictConfig) -> int | None:
    return steps if _root_.trainer.total_epochs is None else None
