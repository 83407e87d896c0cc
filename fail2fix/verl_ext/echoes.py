"""Write echoes into the ground truths of a loaded data set, for rows that no preparation of ours has searched."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from fail2fix.data.echoes import remembered, unsearched
from fail2fix.run.folder import echo_folder
from fail2fix.run.settings import fail2fix_settings
from fail2fix.verify.gold import with_echoes


def add_echoes(dataset: Any, config: DictConfig) -> None:
    """Change the table of a verl data set; a data set class of the run's own without such a table stays as it is.

    The checks at the start have found the echoes, so that they are only read here.
    """
    table, key = getattr(dataset, "dataframe", None), config.data.prompt_key
    if table is None:
        return
    columns = [name for name in (key, "data_source", "reward_model", "extra_info") if name in table.column_names]
    settings = fail2fix_settings(config).verifier
    found = [unsearched(row, key, settings) for row in table.select_columns(columns)]
    pairs = {place: pair for place, pair in enumerate(found) if pair}
    echoes = zip(pairs, remembered(list(pairs.values()), echo_folder(config)), strict=True)
    truths = {place: with_echoes(pairs[place][1], one.echoes) for place, one in echoes if one.echoes}

    def written(reward_model: dict[str, Any], place: int) -> dict[str, Any]:
        return {"reward_model": reward_model | ({"ground_truth": truths[place]} if place in truths else {})}

    if truths:
        dataset.dataframe = table.map(written, with_indices=True, input_columns="reward_model", desc="Writing echoes")
