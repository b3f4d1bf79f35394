"""docs/results/real_run.md, written from the figures and nothing else."""

from typing import Any

SCALE = (
    "For scale, Resemblyzer's cosine to this speaker's mean is 0.96 for her own English clips, 0.78 when she speaks "
    "Spanish, 0.72 for another woman and 0.61 for the Italian man (measured before, on the same data)."
)
TITLES = {
    "italian": "Italian man (language and speaker never trained on)",
    "piper_english": "English synthetic man (piper, joe)",
    "held_out": "Her own held-out clips",
}


def losses_over_steps(metrics: list[dict[str, Any]], rows: int = 12) -> list[dict[str, Any]]:
    """About `rows` evenly spaced log steps of a run that hold losses, the first and the last among them."""
    lines = [line for line in metrics if "loss/g/total" in line]
    step = max(1, (len(lines) - 1) // max(1, rows - 1))
    picked = lines[::step]
    return picked if picked[-1] is lines[-1] else [*picked, lines[-1]]


def markdown(figures: dict[str, Any]) -> str:
    """The page docs/results/real_run.md without its head."""
    return "\n".join([*_training(figures), "## Conversions", "", *_conversions(figures), "", SCALE, ""])


def _training(figures: dict[str, Any]) -> list[str]:
    card, run = figures["card"], figures["run"]
    lines = [
        "## Training",
        "",
        f"Preset `{card['preset']}`, {card['step']} steps on {card['clips']} clips ({card['minutes']} minutes); every "
        "tenth clip was held out of this training and of the built-in encoder's.",
        f"Wall time {run['train_minutes']} minutes ({run['seconds_per_step']} s a step; the machine was shared), peak "
        f"memory {run['peak_gib']} GiB." if run["peak_gib"] else f"Wall time {run['train_minutes']} minutes.",
        "",
        "| step | total | mel | multi-resolution STFT | adversarial | feature matching |",
        "|---|---|---|---|---|---|",
    ]
    names = ("total", "mel", "mrstft", "adv", "fm")
    for row in figures["losses"]:
        values = [row.get(f"loss/g/{name}") for name in names]
        lines.append(f"| {row['step']} | " + " | ".join("-" if v is None else f"{v:.3f}" for v in values) + " |")
    return [*lines, ""]


def _conversions(figures: dict[str, Any]) -> list[str]:
    lines = [
        "| source | clips | closer to target than to source | similarity to target | to source | f0 correlation | "
        "transpose (semitones) | WER of source | WER of converted |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, title in TITLES.items():
        row = figures.get(name)
        if row is None:
            continue
        closer = "-" if name == "held_out" else f"{row['closer_to_target']} of {row['clips']}"
        wer = [f"{100 * row[key]:.1f} %" if key in row else "-" for key in ("wer_source", "wer_converted")]
        lines.append(
            f"| {title} | {row['clips']} | {closer} | {row['similarity_to_target']:.3f} | "
            f"{row['similarity_to_source']:.3f} | {row['f0_correlation']:.3f} | {row['transpose_semitones']:+.1f} | "
            f"{wer[0]} | {wer[1]} |"
        )
    return lines
