"""`python -m benchmarks voxcpm_training [--model FOLDER] [--steps N]`: a training step with and without the cache.

Without --model: tiny random weights of both kinds, whose VAE and transformers are small alike. The same clips and the
same code, in turns: once latents come from the cache, once the VAE encodes the clips in every step, as the package's
training does (decoded already, which the package does in other processes). Memory is what autograd holds of a step.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

N_CLIPS, BATCH = 8, 4
WARM_UP = 2


def run(args: list[str]) -> dict[str, Any]:
    """Seconds a step for each model, way and kind of training."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks voxcpm_training", description=__doc__)
    parser.add_argument("--model", type=Path, help="a model folder (default: tiny ones of both kinds, made here)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N (default: cpu)")
    parser.add_argument("--steps", type=int, default=16, help="steps of each kind; the median counts")
    options = parser.parse_args(args)
    with tempfile.TemporaryDirectory() as scratch:
        if options.model:
            folders = [options.model]
        else:
            from tests.engines.voxcpm.tiny import build

            folders = [build(Path(scratch) / name, name) for name in ("voxcpm", "voxcpm2")]
        clips = _clips(Path(scratch))
        rows = [
            measure(folder, options.device, preset, clips, Path(scratch) / "cache", options.steps)
            for folder in folders
            for preset in ("full", "lora")
        ]
    return {"rows": rows}


def _clips(folder: Path) -> list[Path]:
    """Synthetic speech of 4 to 8 s."""
    import numpy as np

    from core.audio.encode import write_audio
    from core.audio.synthetic import WOMAN, recording

    audio, rate_hz = recording(sum(range(4 * 2, 4 * 2 + N_CLIPS)) / 2.0, WOMAN)
    edges = np.cumsum([0, *(int((4 + number / 2) * rate_hz) for number in range(N_CLIPS))])
    paths = []
    for number in range(N_CLIPS):
        paths.append(folder / f"{number}.wav")
        write_audio(paths[-1], audio[edges[number] : edges[number + 1]], rate_hz)
    return paths


def measure(folder: Path, device: str, preset: str, clips: list[Path], cache: Path, n_steps: int) -> dict[str, Any]:
    """One model trained whole or by a LoRA. Times in ms, medians."""
    import torch

    from core.engines.voxcpm.batches import Utterance, pack
    from core.engines.voxcpm.latents import cached_latents, encode, read_clip, read_latents
    from core.engines.voxcpm.learner import VoxLearner
    from core.engines.voxcpm.loading import read_config
    from core.engines.voxcpm.token_batches import Packed
    from core.engines.voxcpm.train_options import VoxTrainOptions, lora_settings
    from core.engines.voxcpm.trainable import Trainable, checkpoint_activations, load_for_training
    from core.training.descent import Descent, choose_precision

    if device == "cpu":
        torch.set_num_threads(1)
    torch._C._jit_set_texpr_fuser_enabled(False)  # it would compile for every length anew, in the time that counts
    options = VoxTrainOptions.model_validate({"voice": "-", "preset": preset})
    torch.manual_seed(0)
    where = torch.device(device)
    net = load_for_training(folder, device, lora_settings(options, read_config(folder)[0] == "voxcpm2"))
    network = Trainable(net.model).train()
    learner = VoxLearner(network, options)
    (name,) = learner.modules
    optimisers = {name: learner.optimiser(name, 1e-5, where)}
    by = Descent(where, choose_precision("auto", where))
    tokens = net.model.text_tokenizer("Hello world, this is a short test.")
    files = [path for path in cached_latents(net, clips, cache) if isinstance(path, Path)]
    sounds = [read_clip(net, clip) for clip in clips]

    def step(number: int, cached: bool) -> float:
        began = time.perf_counter()
        chosen = [(number * BATCH + i) % N_CLIPS for i in range(BATCH)]
        latents = [read_latents(files[i]) if cached else encode(net, sounds[i]).clone() for i in chosen]
        batch = Packed(pack([Utterance(tokens, one) for one in latents])).to(where)
        optimisers[name].zero_grad()
        learner.learn([(0, batch)], number, optimisers, by)
        if where.type == "cuda":
            torch.cuda.synchronize()
        return 1000.0 * (time.perf_counter() - began)

    times: dict[str, list[float]] = {"cached": [], "uncached": [], "checkpointed": []}
    for number in range(WARM_UP + n_steps):
        for kind in ("cached", "uncached"):
            times[kind].append(step(number, kind == "cached"))
    longest = pack([Utterance(tokens, read_latents(files[-1]))] * BATCH)
    held = {"plain": _held_mb(network, longest, by)}
    checkpoint_activations(net.model)
    for number in range(WARM_UP + n_steps):
        times["checkpointed"].append(step(number, True))
    held["checkpointed"] = _held_mb(network, longest, by)
    medians = {kind: statistics.median(some[WARM_UP:]) for kind, some in times.items()}
    learning = sum(p.numel() for p in network.parameters())
    return {
        "model": folder.name,
        "preset": preset,
        "device": device,
        "ms": {kind: round(value, 1) for kind, value in medians.items()},
        "times_faster": round(medians["uncached"] / medians["cached"], 2),
        "held_mb": held,
        "learning": learning,
        "checkpoint_mb": round(12 * learning / 2**20, 2),
        **({"peak_gpu_mb": round(torch.cuda.max_memory_allocated() / 2**20, 1)} if where.type == "cuda" else {}),
    }


def _held_mb(network: Any, batch: dict[str, Any], by: Any) -> float:
    """What autograd holds between forward and backward pass, the weights apart."""
    import torch

    own = {tensor.untyped_storage().data_ptr() for tensor in network.state_dict().values()}
    held: dict[int, tuple[int, Any]] = {}

    def note(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and not isinstance(tensor, torch.nn.Parameter):
            held[storage.data_ptr()] = (storage.nbytes(), tensor)  # kept, or another tensor takes its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), by.autocast():
        answer = network(**{name: tensor.to(by.device) for name, tensor in batch.items()})
    assert answer
    return round(sum(size for size, _ in held.values()) / 2**20, 1)


def markdown(figures: dict[str, Any]) -> str:
    """One table."""
    lines = [
        f"Milliseconds a step of {BATCH} clips of 4 to 8 s, medians. What is held is what autograd keeps for the "
        "backward pass of the longest batch. How much the cache gains depends on how large the VAE is beside the rest; "
        "in tiny models both are small.",
        "",
        "| model | training | VAE in each step | latents cached | times faster | checkpointed | held, MB "
        "| held, checkpointed | one checkpoint, MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in figures["rows"]:
        ms, held = row["ms"], row["held_mb"]
        lines.append(
            f"| {row['model']} | {row['preset']} | {ms['uncached']} | {ms['cached']} | {row['times_faster']} "
            f"| {ms['checkpointed']} | {held['plain']} | {held['checkpointed']} | {row['checkpoint_mb']} |"
        )
    return "\n".join([*lines, ""])
