"""Where a step's attempts come from (METHOD.md, item 2): one small file a source, chosen by one config line.

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
    """What a source may ask of the trainer before the first step."""

    @property
    def provenance(self) -> dict[str, object]:
        """Model, tokenizer, data, seed and versions, for a file that outlives the run."""

    def initial_rollouts(self, problems: int) -> Stream:
        """G rollouts each of ``problems`` training problems drawn by the seed."""

    def charge(self, pool: Stream, seconds: float) -> None:
        """Enter a pool into the ledger, once a run; one that an earlier run generated is part of what this one needs.

        ``seconds``: what generating it took.
        """


class AttemptSource(ABC):
    """Gives every step the rollouts among which selection chooses. Hooks that a source does not need do nothing.

    Attributes:
        waits_for_base: the attempts are this step's own rollouts; False: they exist before, and both streams are
            generated at once.
        end_of_turn: tokens that end a response, for reading rollouts from a file; the trainer sets them.
    """

    waits_for_base: bool = False
    end_of_turn: Collection[int] = ()

    def __init__(self, config: DictConfig) -> None:
        self.config = config

    def begin(self, policy: StartingPolicy) -> None:  # noqa: B027
        """Called once, before the first step of a start or a resumption, with the engines awake."""

    @abstractmethod
    def attempts(self, base: Stream | None) -> Stream | None:
        """The rollouts to choose from; None: nothing to replay, a plain step of the base algorithm.

        Args:
            base: this step's base rollouts if ``waits_for_base``, else None.
        """

    def end_step(self, base: Stream) -> None:  # noqa: B027
        """Called after the update with the step's base rollouts."""

    def save(self, checkpoint: Path) -> None:  # noqa: B027
        """Write what a resumption needs into a checkpoint's folder."""

    def load(self, checkpoint: Path) -> None:  # noqa: B027
        """Read it back."""


source_class: Door[type[AttemptSource]] = Door(
    "fail2fix.replay.source",
    AttemptSource,
    online="fail2fix.verl_ext.sources.online.OnlineAttempts",
    offline="fail2fix.verl_ext.sources.offline.OfflineAttempts",
    lagged="fail2fix.verl_ext.sources.lagged.LaggedAttempts",
)
