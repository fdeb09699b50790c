"""Fitted towers on disk."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from recsys_core.data.histories import NEVER, Histories, evidence, histories_of
from recsys_core.data.splits import NOW
from recsys_core.errors import ArtifactError
from recsys_core.retrieval.model import (
    RetrievalModel,
    item_vectors,
    load_retrieval_model,
    save_retrieval_models,
    user_vectors,
)
from recsys_core.retrieval.training import fit_retrieval_models
from recsys_core.tables import read_table
from tests.core.worlds import QUICK_TRAINING, TinyRun


def neighbours_say(model: RetrievalModel, users: Histories) -> npt.NDArray[np.float32]:
    """(n_users, 20) of the first items."""
    candidates = np.tile(np.arange(20), (users.n_users, 1))
    return model.neighbours.liked_share(users, evidence(users).astype(np.float32), candidates)


PROJECT = Path(__file__).resolve().parents[3]

ANSWERS = """
import sys
from pathlib import Path
import numpy as np, polars as pl
import recsys_core.evaluation.end_to_end, recsys_core.monitoring.parity, recsys_core.serving.recommender
from recsys_core.data.histories import histories_of
from recsys_core.retrieval.model import load_retrieval_model
from recsys_core.retrieval.model import item_vectors, user_vectors
folder = Path(sys.argv[1])
model = load_retrieval_model(folder, "now")
users = histories_of(pl.read_parquet(folder / "ratings.parquet"), model.catalogue)
np.savez(folder / "vectors.npz", users=user_vectors(model, users), items=item_vectors(model))
sys.exit("torch" in sys.modules)
"""


@pytest.fixture(scope="module")
def folder(tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("two_tower")
    save_retrieval_models(tiny.models, made)
    return made


def test_a_tower_comes_back_to_the_bit(tiny: TinyRun, folder: Path) -> None:
    for name, model in tiny.models.items():
        back = load_retrieval_model(folder, name)
        users = histories_of(tiny.ratings, model.catalogue)
        assert np.array_equal(back.user_encoder.encode(users), model.user_encoder.encode(users))
        assert np.array_equal(back.trained_items, model.trained_items)
        assert np.array_equal(user_vectors(back, users), user_vectors(model, users))
        assert np.array_equal(item_vectors(back), item_vectors(model))
        assert np.array_equal(back.catalogue.item_ids, model.catalogue.item_ids)
        assert back.catalogue.item_ids.dtype == np.int64
        assert np.array_equal(back.first_rated_at, model.first_rated_at)
        assert np.array_equal(back.rating_model.encode_users(users), model.rating_model.encode_users(users))
        assert np.array_equal(back.rating_model.biases, model.rating_model.biases)
        assert back.rating_model.mean == model.rating_model.mean
        assert np.array_equal(back.covisits.matrix.toarray(), model.covisits.matrix.toarray())
        shares = [neighbours_say(one, users) for one in (back, model)]
        assert np.array_equal(*shares, equal_nan=True)
        assert back.neighbours.item_idx.dtype == np.int64
        assert np.array_equal(back.losses, model.losses)
        assert back.fit_end == model.fit_end == tiny.splits.fit_end(name)


def test_the_losses_of_all_towers_stand_in_one_table(tiny: TinyRun, folder: Path) -> None:
    curves = read_table(folder / "training.parquet")
    assert curves.columns == ["slice", "epoch", "loss"]
    assert curves["slice"].unique(maintain_order=True).to_list() == tiny.splits.names
    n_epochs = [QUICK_TRAINING.n_epochs, *[QUICK_TRAINING.refit_epochs] * (len(tiny.models) - 1)]
    for (name, model), n in zip(tiny.models.items(), n_epochs, strict=True):
        own = curves.filter(slice=name)
        assert own["epoch"].to_list() == list(range(1, n + 1))
        assert np.array_equal(own["loss"].to_numpy(), model.losses)


@pytest.mark.slow
def test_two_fits_with_one_seed_give_identical_files_and_another_seed_others(
    tiny: TinyRun, folder: Path, tmp_path: Path
) -> None:
    for seed in (QUICK_TRAINING.seed, QUICK_TRAINING.seed + 1):
        (tmp_path / str(seed)).mkdir()
        config = QUICK_TRAINING.model_copy(update={"seed": seed})
        save_retrieval_models(fit_retrieval_models(tiny.ratings, tiny.items, tiny.splits, config), tmp_path / str(seed))
    for path in sorted(folder.iterdir()):
        first, again, other = (at.joinpath(path.name).read_bytes() for at in (folder, *sorted(tmp_path.iterdir())))
        assert first == again
        assert first != other


def test_a_loaded_tower_can_be_saved_again_to_the_same_bytes(tiny: TinyRun, folder: Path, tmp_path: Path) -> None:
    save_retrieval_models({name: load_retrieval_model(folder, name) for name in tiny.models}, tmp_path)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


def test_loading_draws_no_chance(folder: Path) -> None:
    before = torch.get_rng_state()
    load_retrieval_model(folder, NOW)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_slice_without_a_tower_is_named(folder: Path) -> None:
    with pytest.raises(ArtifactError, match=r"train_9\.safetensors is missing or damaged: run `recsys refresh`"):
        load_retrieval_model(folder, "train_9")


def test_every_flip_in_the_header_is_damage_or_harmless(folder: Path, tmp_path: Path) -> None:
    good = (folder / "now.safetensors").read_bytes()
    n_header = 8 + int.from_bytes(good[:8], "little")
    refused = 0
    for at in range(0, n_header, 3):
        (tmp_path / "now.safetensors").write_bytes(good[:at] + bytes([good[at] ^ 2]) + good[at + 1 :])
        try:
            load_retrieval_model(tmp_path, NOW)
        except ArtifactError:
            refused += 1
    assert refused > 0.9 * n_header / 3


@pytest.mark.parametrize("n_bytes", [0, 7, 200, -1])
def test_a_cut_file_is_damage(folder: Path, tmp_path: Path, n_bytes: int) -> None:
    (tmp_path / "now.safetensors").write_bytes((folder / "now.safetensors").read_bytes()[:n_bytes])
    with pytest.raises(ArtifactError, match="damaged"):
        load_retrieval_model(tmp_path, NOW)


def test_a_file_with_the_weights_of_torch_is_of_older_code(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"rated.weight": torch.ones(2, 2)}, tmp_path / "now.safetensors", metadata={"tower": "{}"})
    with pytest.raises(ArtifactError, match="was written by older code, which needed torch to answer: run `recsys"):
        load_retrieval_model(tmp_path, NOW)


def test_safetensors_of_something_else_are_no_tower(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(2)}, tmp_path / "now.safetensors")
    with pytest.raises(ArtifactError, match="damaged"):
        load_retrieval_model(tmp_path, NOW)


def test_a_process_without_torch_gives_the_vectors_that_training_gave(tiny: TinyRun, tmp_path: Path) -> None:
    save_retrieval_models({NOW: tiny.model}, tmp_path)
    tiny.ratings.write_parquet(tmp_path / "ratings.parquet")
    subprocess.run([sys.executable, "-c", ANSWERS, str(tmp_path)], cwd=PROJECT, check=True)
    with np.load(tmp_path / "vectors.npz") as made:
        assert np.array_equal(made["users"], user_vectors(tiny.model, histories_of(tiny.ratings, tiny.model.catalogue)))
        assert np.array_equal(made["items"], item_vectors(tiny.model))


def test_every_item_is_rated_or_new(tiny: TinyRun) -> None:
    model = tiny.model
    assert sorted([*model.rated.tolist(), *model.new.tolist()]) == list(range(model.catalogue.n_items))
    assert (model.first_rated_at[model.rated] < NEVER).all()
    assert np.array_equal(model.rated_ids, model.catalogue.item_ids[model.rated])
    assert model.user_encoder.dim == model.trained_items.shape[1] - 1
