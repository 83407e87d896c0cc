"""Start workers, data and trainer in a Ray actor, as verl does."""

from __future__ import annotations

import ray
from omegaconf import DictConfig, OmegaConf
from verl.trainer.main_ppo import run_ppo
from verl.trainer.main_ppo_v0 import BaseTaskRunner
from verl.trainer.ppo.utils import create_rl_dataset, create_rl_sampler
from verl.utils.config import omega_conf_to_dataclass
from verl.utils.dataset.rl_dataset import collate_fn
from verl.utils.device import get_resource_name

from fail2fix.cluster import cpus
from fail2fix.cluster.joining import joins, wait_for_devices
from fail2fix.cluster.lock import hold_weight_sync
from fail2fix.preflight.reward import judged_by_us
from fail2fix.run.folder import folder_of
from fail2fix.run.last_resort import saving_what_is_left
from fail2fix.run.settings import fail2fix_settings, shares_prefixes, writes_streams
from fail2fix.run.shipped_configs import register_resolvers
from fail2fix.run.watchdog import Watchdog
from fail2fix.verl_ext.echoes import add_echoes
from fail2fix.verl_ext.prefix_worker import PrefixWorker
from fail2fix.verl_ext.stream_file import check_storable
from fail2fix.verl_ext.trainer import Fail2FixTrainer


def free_devices() -> list[tuple[int, int]]:
    """The free devices and CPUs of every node of the Ray cluster, counted as verl counts before it starts workers."""
    kind, nodes = get_resource_name(), ray._private.state.available_resources_per_node().values()
    return [(int(node.get(kind, 0)), int(node.get("CPU", 0))) for node in nodes]


def run_on_ray(config: DictConfig, task_runner: type[Fail2FixTaskRunner]) -> None:
    """Start or join Ray as the config says, and train in an actor of this class, with verl's ``run_ppo``."""
    run_ppo(config, task_runner_class=ray.remote(num_cpus=cpus.TRAINER)(task_runner))


class Fail2FixTaskRunner(BaseTaskRunner):
    """verl's task runner with our trainer."""

    trainer_class: type[Fail2FixTrainer] = Fail2FixTrainer

    def run(self, config: DictConfig) -> None:
        """Build everything and train, under the watchdog."""
        register_resolvers()
        OmegaConf.resolve(config)
        self._weight_sync = hold_weight_sync(ray.get_runtime_context().get_job_id(), folder_of(config))
        with Watchdog.of(config) as watchdog, watchdog.phase("start"):
            if joins(config):
                with watchdog.phase("waiting for the cluster's devices"):
                    wait_for_devices(config.trainer.nnodes, config.trainer.n_gpus_per_node, cpus.WORKER, free_devices)
            with watchdog.phase("data"):
                trainer = self._trainer(config)
            trainer.watchdog = watchdog
            with watchdog.phase("workers and engines"):
                trainer.init_workers()
            with saving_what_is_left(trainer):
                trainer.fit()

    def add_actor_rollout_worker(self, config: DictConfig) -> tuple[type, type]:
        """verl's worker of actor, reference and engine; ours where shared starts are read once."""
        worker, worker_group = super().add_actor_rollout_worker(config)
        if shares_prefixes(config):
            worker = PrefixWorker
            self.role_worker_mapping.update(dict.fromkeys(list(self.role_worker_mapping), ray.remote(worker)))
        return worker, worker_group

    def _trainer(self, config: DictConfig) -> Fail2FixTrainer:
        _, worker_group = self.add_actor_rollout_worker(config)
        model = omega_conf_to_dataclass(config.actor_rollout_ref.model)
        tokenizer, processor, data = model.tokenizer, model.processor, config.data
        train = create_rl_dataset(
            data.train_files, data, tokenizer, processor, is_train=True, max_samples=data.train_max_samples
        )
        held_out = create_rl_dataset(
            data.val_files, data, tokenizer, processor, is_train=False, max_samples=data.val_max_samples
        )
        if judged_by_us(config):
            for rows in (train, held_out):
                add_echoes(rows, config)
        if writes_streams(fail2fix_settings(config)):
            for rows in (train, held_out):
                check_storable(rows[0])
        return self.trainer_class(
            config=config,
            tokenizer=tokenizer,
            processor=processor,
            role_worker_mapping=self.role_worker_mapping,
            resource_pool_manager=self.init_resource_pool_mgr(config),
            ray_worker_group_cls=worker_group,
            train_dataset=train,
            val_dataset=held_out,
            collate_fn=collate_fn,
            train_sampler=create_rl_sampler(data, train),
        )
