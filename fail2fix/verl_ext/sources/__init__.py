"""Sources of a step's attempts (METHOD.md, item 2): one small file per source, chosen by one config line.

``fail2fix.replay.source`` names a shipped source (`source_class`), or your own class by its dotted path::

    fail2fix.replay.source=my_package.hardest.HardestAttempts
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from omegaconf import DictConfig

from fail2fix.method.doors import Door

if TYPE_CHECKING:
    from fail2fix.verl_ext.stream import Stream


class StartingPolicy(Protocol):
    """Requests that a source may make of the trainer before the first step."""

    @property
    def provenance(self) -> dict[str, object]:
        """Model, tokenizer, data, seed and versions, for a file that outlives the run."""

    def initial_rollouts(self, problems: int) -> Stream:
        """G rollouts each of ``problems`` training problems drawn by the seed.

        Raises:
            RuntimeError: the run has trained already.
        """

    def charge(self, pool: Stream, seconds: float) -> None:
        """Charge a pool to the ledger, once per run, even if an earlier run generated it.

        ``seconds``: wall-clock time of its generation.
        """


class AttemptSource(ABC):
    """Gives every step the rollouts among which selection chooses. Hooks that a source does not need do nothing.

    An exception in any of its methods ends the run.

    Attributes:
        waits_for_base: the attempts are this step's own rollouts. False: they exist before the step, and both streams
            are generated at once.
        end_of_turn: ids of tokens that end a response, for reading rollouts from a file; the trainer sets them.
    """

    waits_for_base: bool = False
    end_of_turn: Collection[int] = ()

    def __init__(self, config: DictConfig) -> None:
        self.config = config

    def begin(self, policy: StartingPolicy) -> None:  # noqa: B027
        """Called once, before the first step of a start or a resumption, with the engines awake."""

    @abstractmethod
    def attempts(self, base: Stream | None) -> Stream | None:
        """The rollouts to choose from, in groups of any one size; None: a plain step of the base algorithm.

        Args:
            base: this step's base rollouts, B groups of G, if ``waits_for_base``; else None.
        """

    def end_step(self, base: Stream) -> None:  # noqa: B027
        """Called after the update with the step's base rollouts, B groups of G."""

    def save(self, checkpoint: Path) -> None:  # noqa: B027
        """Write what a resumption needs into a checkpoint's folder."""

    def load(self, checkpoint: Path) -> None:  # noqa: B027
        """Read it from the checkpoint's folder."""


source_class: Door[type[AttemptSource]] = Door(
    "fail2fix.replay.source",
    AttemptSource,
    online="fail2fix.verl_ext.sources.online.OnlineAttempts",
    offline="fail2fix.verl_ext.sources.offline.OfflineAttempts",
    lagged="fail2fix.verl_ext.sources.lagged.LaggedAttempts",
)
