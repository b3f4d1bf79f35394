"""The training loop: it can be stopped, resumed bit for bit, and never saves or hides nonsense."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from core.engines.sovits.dataset import Clip, Example, TrainingSet, wav_frames
from core.engines.sovits.recipe import Losses, SegmentPlan
from core.engines.sovits.recipes import create_recipe
from core.errors import BadInput, ModelFileError
from core.training import generations
from core.training.health import Diverged
from core.training.pictures import spectrogram_picture, stack_pictures
from core.training.proof import BadRender, check_render
from core.training.runs import create_run
from core.training.stream import BatchStream
from tests.training.material import make_examples, small_config, sung_vowel, write_clip
from tests.training.trainers import Watch, differences, end_of, fit, options_for, recipe_for, trainer_for

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small lose time with two threads, and on a busy machine lose minutes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    return make_examples(tmp_path_factory.mktemp("voice"), n_clips=4, seconds=0.8)


@pytest.mark.parametrize("family", ["lite", "tiny"])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path, examples: list[Example], family: str) -> None:
    options = options_for(family, steps=4, save_every_steps=100, adversarial_from_step=1)
    whole = trainer_for(create_run(tmp_path, "whole", "v", family), options, examples)
    assert fit(whole).step == options.steps

    run = create_run(tmp_path, "parts", "v", family)
    half = options.steps // 2
    first = trainer_for(run, options, examples)
    done = fit(first, Watch(stop_after=half))
    assert (done.step, done.stopped) == (half, True)

    second = trainer_for(run, options, examples)
    torch.rand(7)  # whatever happened before must not matter
    assert second.restore()
    assert second.step == half
    assert fit(second).step == options.steps

    assert differences(end_of(whole), end_of(second)) == []


def test_stopping_before_the_first_step_saves_nothing_new(tmp_path: Path, examples: list[Example]) -> None:
    trainer = trainer_for(create_run(tmp_path, "r", "v", "lite"), options_for("lite"), examples)
    done = fit(trainer, Watch(stop_after=0))
    assert (done.step, done.stopped) == (0, True)
    assert generations.list_generations(trainer.run.checkpoints) == []


def test_a_loss_that_is_no_number_stops_at_the_last_good_generation(tmp_path: Path, examples: list[Example]) -> None:
    options = options_for("lite")
    recipe = recipe_for("lite", options)
    sound = recipe.generator_losses

    def spoiled(batch, outputs, step):
        losses = sound(batch, outputs, step)
        return Losses(losses.total * float("nan"), losses.parts) if step == 4 else losses

    recipe.generator_losses = spoiled  # type: ignore[method-assign]
    trainer = trainer_for(create_run(tmp_path, "r", "v", "lite"), options, examples, recipe)
    with pytest.raises(Diverged, match="step 4 is good"):
        fit(trainer)
    found, notes = generations.load_newest(trainer.run.checkpoints)
    assert found is not None
    assert (found.step, notes) == (4, [])
    assert all(torch.isfinite(t).all() for t in found.tensors["generator"].values())


def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(tmp_path: Path, examples: list[Example]) -> None:
    options = options_for("lite", steps=4)
    trainer = trainer_for(create_run(tmp_path, "r", "v", "lite"), options, examples)
    fit(trainer)
    file = trainer.run.checkpoints / "step_00000004" / "generator.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    again = trainer_for(trainer.run, options, examples)
    assert again.restore()
    assert again.step == 2
    assert "step_00000004" in again.info.notes[0]
    assert fit(again).step == 4


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path, examples: list[Example]) -> None:
    options = options_for("lite", steps=2)
    trainer = trainer_for(create_run(tmp_path, "r", "v", "lite"), options, examples)
    fit(trainer)
    wide = small_config("lite")
    wide = wide.model_copy(update={"model": wide.model.model_copy(update={"hidden_channels": 24})})
    other = trainer_for(trainer.run, options, examples, create_recipe(wide, options))
    with pytest.raises(ModelFileError, match="generator"):
        other.restore()


def test_what_a_run_shows(tmp_path: Path, examples: list[Example]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer = trainer_for(
        create_run(tmp_path, "r", "v", "lite"),
        options_for("lite", steps=4, adversarial_from_step=3),
        examples,
        probes=True,
    )
    ctx = Watch()
    fit(trainer, ctx)
    rows = trainer.run.metrics()
    assert [row["step"] for row in rows] == [1, 2, 4]
    assert {
        "loss/g/total",
        "loss/g/mel",
        "loss/d/total",
        "lr",
        "grad_norm/g",
        "steps_per_s",
        "eta_s",
        "probe/mel_distance",
    } <= rows[-1].keys()
    assert ctx.messages[-1].startswith("step 4/4 · loss ")
    events = EventAccumulator(str(trainer.run.path))
    events.Reload()
    tags = events.Tags()
    assert {"loss/g/total", "loss/g/mel", "loss/d/total", "lr", "grad_norm/g", "steps_per_s"} <= set(tags["scalars"])
    assert "probe_1/recording above, voice below" in tags["images"]
    assert {"probe_1/voice", "probe_1/recording"} <= set(tags["audio"])
    assert events.Audio("probe_1/voice")[0].sample_rate == 44100
    best = trainer.info.best_step
    assert best in (2, 4)
    assert json.loads((trainer.run.path / "run.json").read_text())["best_step"] == best


def test_rendering_probes_changes_nothing(tmp_path: Path, examples: list[Example]) -> None:
    options = options_for("lite", steps=3, save_every_steps=1)
    ends = []
    for name, probes in (("with", True), ("without", False)):
        trainer = trainer_for(create_run(tmp_path, name, "v", "lite"), options, examples, probes=probes)
        fit(trainer)
        ends.append(generations.load_newest(trainer.run.checkpoints)[0])
    with_probes, without = ends
    assert with_probes is not None
    assert without is not None
    assert all(torch.equal(v, without.tensors["generator"][k]) for k, v in with_probes.tensors["generator"].items())


def test_batches_depend_on_their_place_alone(examples: list[Example]) -> None:
    def batches(ahead: int, epoch: int = 0, place: int = 0, count: int = 7):
        data = TrainingSet(examples, SegmentPlan(16, fixed=True), 3, seed=5)
        with BatchStream(data, epoch, place, ahead) as stream:
            return [(stream.epoch, stream.place, stream.next()[0]) for _ in range(count)]

    here, ahead = batches(0), batches(4)
    for (epoch, place, one), (epoch_2, place_2, two) in zip(here, ahead, strict=True):
        assert (epoch, place) == (epoch_2, place_2)
        assert torch.equal(one.audio, two.audio)
        assert torch.equal(one.units, two.units)
    epoch, place, late = here[5]
    assert torch.equal(batches(0, epoch, place, 1)[0][2].audio, late.audio)
    assert not torch.equal(here[0][2].audio, here[1][2].audio)


def test_a_segment_is_what_lies_at_its_place(examples: list[Example]) -> None:
    batch = TrainingSet(examples, SegmentPlan(16, fixed=True), 2, seed=1).batch(0, 0)
    assert batch.audio.shape == (2, 1, 16 * 512)
    assert batch.units.shape == (2, 24, 16)
    found = 0
    for example in examples:
        clip = Clip(example, "nearest").piece()
        for start in range(clip.n_frames - 15):
            piece = clip.audio[start * 512 : (start + 16) * 512].astype(np.float32) / 32768
            if np.array_equal(piece, batch.audio[0, 0].numpy()):
                found += 1
                units = clip.units[start : start + 16].astype(np.float32).T
                assert np.array_equal(units, batch.units[0].numpy())
                assert np.array_equal(clip.f0_hz[start : start + 16], batch.f0_hz[0].numpy())
    assert found == 1


def test_whole_clips_are_padded_and_long_ones_cut(examples: list[Example]) -> None:
    longest = max(e.n_frames for e in examples)
    data = TrainingSet(examples, SegmentPlan(longest - 5, fixed=False, longer_than=longest - 1), 4, seed=1)
    batch = data.batch(0, 0)
    assert sorted(batch.lengths.tolist()) == sorted([*sorted(e.n_frames for e in examples)[:-1], longest - 5])
    for row, length in enumerate(batch.lengths.tolist()):
        assert batch.audio[row, 0, length * 512 :].abs().sum() == 0
        assert batch.mask[row, 0].sum() == length


def test_memory_is_bounded_and_changes_nothing(examples: list[Example]) -> None:
    data, frugal = (TrainingSet(examples, SegmentPlan(16, fixed=True), 3, seed=5) for _ in range(2))
    frugal.store._limit = 1
    for place in range(data.steps_per_epoch):
        assert torch.equal(data.batch(0, place).audio, frugal.batch(0, place).audio)
    assert len(frugal.store._clips) == 1


def test_a_clip_of_another_format_is_refused_by_name(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "low.wav", sung_vowel(0.5), rate_hz=16000)
    with pytest.raises(BadInput, match=r"low\.wav"):
        wav_frames(clip)


@pytest.mark.parametrize(
    ("audio", "words"),
    [
        (np.zeros(100), "silence"),
        (np.full(100, np.nan), "not numbers"),
        (np.full(100, 9.0), "full scale"),
        (np.zeros(0), "not numbers"),
    ],
)
def test_a_render_that_nobody_can_use(audio: np.ndarray, words: str) -> None:
    with pytest.raises(BadRender, match=words):
        check_render(audio.astype(np.float32), "it")


def test_figures_of_a_good_render() -> None:
    tone = (0.5 * np.sin(np.arange(44100) / 10)).astype(np.float32)
    assert check_render(tone, "it") == {"rms_db": pytest.approx(-9.03, abs=0.02), "peak": pytest.approx(0.5, abs=1e-3)}


def test_a_spectrogram_picture_is_bright_where_there_is_sound() -> None:
    log_mel = np.full((10, 4), -11.0)
    log_mel[0] = 0.0
    picture = spectrogram_picture(log_mel, scale=1)
    assert picture.shape == (10, 4, 3)
    assert picture[-1].min() > 150  # low bands at the bottom
    assert picture[0].max() < 10
    assert stack_pictures(picture, picture[:, :2], gap=1).shape == (21, 4, 3)


@pytest.mark.parametrize("family", ["lite", "tiny"])
def test_half_precision_steps_are_sound(tmp_path: Path, examples: list[Example], family: str) -> None:
    options = options_for(family, steps=1, adversarial_from_step=0)
    trainer = trainer_for(create_run(tmp_path, "r", "v", family), options, examples)
    trainer.by.precision = "bf16"  # what a GPU would use; torch has it on a CPU too
    assert fit(trainer).step == 1
    exact = trainer_for(create_run(tmp_path, "exact", "v", family), options, examples)
    fit(exact)
    rough, fine = (t.run.metrics()[0]["loss/g/total"] for t in (trainer, exact))
    assert rough != fine
    assert rough == pytest.approx(fine, rel=0.2)  # dropout falls differently, so other segments are drawn
