"""Train: ``python -m fail2fix.train [--config-name NAME] [--dry-run] key=value ...``

A Hydra application on verl's ``ppo_trainer`` config with our section, ``fail2fix:``. Every verl override works.
``--dry-run`` composes, validates and prints the whole config, and starts nothing. Bad input ends in one line and exit
status 2, before Ray starts. An error of the training keeps its traceback and ends in one line too. Exit statuses:
`fail2fix.run.exit_status.Exit`.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fail2fix.cluster.shared_memory import remove_abandoned
from fail2fix.console.printable import one_line
from fail2fix.console.secret_text import refuse_secret_words
from fail2fix.console.suggestions import explained
from fail2fix.method.errors import InputError
from fail2fix.run.config import Fail2FixConfig
from fail2fix.run.exit_status import Exit
from fail2fix.run.renamed import refuse_renamed_modules, renamed_in
from fail2fix.run.shipped_configs import config_dir, register_resolvers
from fail2fix.verl_ext import environment
from fail2fix.verl_ext.run_length import settle_length

if TYPE_CHECKING:
    from fail2fix.verl_ext.task_runner import Fail2FixTaskRunner

CONFIG = "cipo"  # of a command line that names none
DRY_RUN = "--dry-run"
ENGINES = ("automodel", "megatron", "mindspeed", "torchtitan", "veomni")  # verl's, beside the one we use
# Ray keeps this many tasks for its dashboard, 2.5 kB each; its default, 100,000, fills over days like a memory leak.
RAY_DEFAULTS = {"RAY_task_events_max_num_task_in_gcs": "2000"}


class VerlConfigs(SearchPathPlugin):
    """Adds verl's configs to Hydra's search path, which Hydra otherwise allows in a primary config only."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        spec = find_spec("verl")  # by path: Hydra imports a package it is given, and verl's import takes seconds
        folder = Path(spec.origin).parent / "trainer" / "config" if spec and spec.origin else None
        search_path.append("verl", f"file://{folder}" if folder else "pkg://verl.trainer.config")


@cache
def register_configs() -> None:
    """Register verl's configs, our resolvers, and ``fail2fix_schema``, the types and defaults of our section."""
    register_resolvers()
    ConfigStore.instance().store(name="fail2fix_schema", node=Fail2FixConfig)
    Plugins.instance().register(VerlConfigs)


def prepare(config: DictConfig, dry_run: bool, held: ExitStack) -> bool:
    """Check everything and open the run's folder; return whether to train.

    Args:
        held: frees the run's GPUs when it is closed.

    Raises:
        InputError: naming the key or file, and what to do.
    """
    from fail2fix.verl_ext.compat import check_verl

    check_verl()
    refuse_renamed_modules(config)
    from fail2fix import preflight
    from fail2fix.run.folder import name_run
    from fail2fix.run.settings import seeds_rollouts, shares_prefixes

    preflight.check_config(config)
    # Written to the run's config.yaml, and compared with it when the run is started again.
    settle_length(config)
    config.fail2fix.seeded_rollouts = seeds_rollouts(config)
    config.fail2fix.share_prefixes = shares_prefixes(config)
    if not dry_run:
        preflight.settle_attention(config)
    folder = name_run(config)
    warn(preflight.config_warnings(config))
    if dry_run:
        preflight.check_reward_function(config)
        print(OmegaConf.to_yaml(config, resolve=True))
        print("\n".join(f"# not checked: {note}" for note in preflight.missing_inputs(config)))
        print("# everything else is checked; nothing was started")
        return False
    start(config, folder, held)
    return True


def start(config: DictConfig, folder: Path, held: ExitStack) -> None:
    """Check the inputs and the machine of a run, lock its GPUs, and open its folder.

    Raises:
        InputError: as ``prepare``.
    """
    from fail2fix import preflight
    from fail2fix.cluster import joining as cluster
    from fail2fix.cluster.cpus import check_cpus
    from fail2fix.cluster.gpus import hold_gpus
    from fail2fix.run.folder import open_run
    from fail2fix.run.settings import seeds_on_gpu

    address = cluster.address_of(config, os.environ)
    if address == cluster.OWN:
        check_cpus(config)
    if removed := remove_abandoned():  # before the free shared memory is measured
        print(f"fail2fix: removed {removed} shared memory segments of a killed run from /dev/shm", flush=True)
    warn(preflight.check_inputs(config))
    if address == cluster.OWN:
        warn(held.enter_context(hold_gpus(config, folder)))
    open_run(config, folder)
    cluster.use(config, address)
    if line := seeds_on_gpu(config):
        print(f"fail2fix: {line}", flush=True)
    if "console" in config.trainer.logger:
        print(f"run folder: {folder}", flush=True)


def warn(lines: Iterable[str]) -> None:
    """Print warnings on stderr."""
    for line in lines:
        print(f"fail2fix: warning: {one_line(line)}", file=sys.stderr, flush=True)


def train(config: DictConfig, task_runner: type[Fail2FixTaskRunner] | None = None) -> None:
    """Train on a prepared config; a failure ends the process with its status.

    Args:
        task_runner: a subclass of ours to use instead of the default.
    """
    import ray

    from fail2fix.cluster import joining as cluster
    from fail2fix.report.at_end import draw_at_end
    from fail2fix.report.live import shown
    from fail2fix.run.driver import Driver, end_process
    from fail2fix.run.folder import folder_of
    from fail2fix.verl_ext.task_runner import Fail2FixTaskRunner, run_on_ray

    for name, value in RAY_DEFAULTS.items():
        os.environ.setdefault(name, value)

    def training() -> None:
        cluster.require_head(config)
        run_on_ray(config, task_runner or Fail2FixTaskRunner)

    def address() -> str:
        return ray.get_runtime_context().gcs_address if ray.is_initialized() else ""

    head = cluster.Head(address) if cluster.joins(config) else None
    with shown(config, folder_of(config)) as screen:
        status = Driver(config, training, ray.shutdown, head, screen).run()
    draw_at_end(folder_of(config))
    if status != Exit.FINISHED:
        end_process(status)


def main(task_runner: type[Fail2FixTaskRunner] | None = None) -> None:
    """Run the command line; ``task_runner`` as in ``train``."""
    environment.set_defaults()
    quiet_libraries()
    register_configs()
    dry_run = DRY_RUN in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != DRY_RUN]
    wants_trace = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises errors instead of printing them itself
    with every_error_in_one_line(wants_trace):
        refuse_secret_words(sys.argv[1:], os.environ)  # before Hydra, whose errors repeat the command line
        configs = compose()
    for config in configs:
        with ExitStack() as held:
            with every_error_in_one_line(wants_trace):
                ready = prepare(config, dry_run, held)
            if ready:
                train(config, task_runner)


def quiet_libraries() -> None:
    """Drop verl's lines about its platform and about engines that are not installed, also in Ray's processes."""
    os.environ.setdefault("VERL_LOGGING_LEVEL", "WARNING")  # verl's own default, but for its platform's lines
    for name in ENGINES:
        warnings.filterwarnings("ignore", message=f"{name} engine is not available")
    given = os.environ.get("PYTHONWARNINGS", "").split(",")
    ours = [f"ignore:{name} engine is not available" for name in ENGINES]
    os.environ["PYTHONWARNINGS"] = ",".join(dict.fromkeys(filter(None, [*ours, *given])))


@contextmanager
def every_error_in_one_line(wants_trace: bool) -> Iterator[None]:
    """End the process with one line and exit status 2 on any error; with ``wants_trace``, raise it."""
    try:
        yield
    except Exception as error:  # also an unforeseen one: nothing has started, so one line is enough
        if wants_trace:
            raise
        print(f"fail2fix: error: {message_of(error)}", file=sys.stderr)
        sys.exit(Exit.BAD_INPUT)


def compose() -> list[DictConfig]:
    """The configs of this command line: one, or a sweep's. None for Hydra's own options (--help, --cfg, --info)."""
    composed: list[DictConfig] = []

    @hydra.main(config_path=config_dir(), config_name=CONFIG, version_base="1.3")
    def keep(config: DictConfig) -> None:  # a function: Hydra names a job by its module
        composed.append(config)

    keep()
    return composed


def message_of(error: Exception) -> str:
    """An error's message in one line, with its cause's if Hydra wraps it, and its type if it is not one of ours.

    Data and models may have written parts of it, so control sequences are escaped.
    """
    if not isinstance(error, InputError | HydraException | OmegaConfBaseException):
        message = one_line(str(error)) or "no message"
        return f"unexpected {type(error).__name__}: {message}; run again with HYDRA_FULL_ERROR=1 for the traceback"
    parts = [str(error)]
    if isinstance(error, HydraException) and error.__cause__ is not None:
        parts.append(str(error.__cause__))
    if not isinstance(error, InputError) and (line := renamed_in(" ".join(parts))):
        return one_line(line)
    lines = [line.strip() for part in parts for line in part.splitlines()]
    noise = ("full_key:", "object_type=", "reference_type=", "To append to your config use", "See https")
    seen = dict.fromkeys(line for line in lines if line and not line.startswith(noise))
    return one_line(explained(" ".join(seen), sys.argv[1:], Path(config_dir()), CONFIG))


if __name__ == "__main__":
    main()
