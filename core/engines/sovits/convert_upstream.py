"""Every flag of so-vits-svc 4.1's `inference_main.py` and its name here; docs/from_so_vits_svc.md is made of it.

Facts from spec/so_vits_svc.md, sections 1.2 and 1.3. Light: no torch here.
"""

from dataclasses import dataclass, field
from typing import Any

from core.engines.sovits.convert_options import ConvertOptions


@dataclass(frozen=True)
class Flag:
    """A flag of 4.1.

    Attributes:
        short, long: as written there.
        default: of 4.1's command line.
        sets: our options and their values when the flag has its default.
        ours: how it is said on our command line.
        note: where 4.1's command line and web page disagree, or where we do.
    """

    short: str
    long: str
    default: str
    ours: str
    sets: dict[str, Any] = field(default_factory=dict)
    note: str = ""


FLAGS: tuple[Flag, ...] = (
    Flag("-m", "--model_path", "logs/44k/G_37600.pth", "--model NAME", {"model": None}, "The voice's newest model."),
    Flag("-c", "--config_path", "logs/44k/config.json", "--model NAME", {}, "The config lies in the model's folder."),
    Flag("-cl", "--clip", "0", "--clip-s", {"clip_s": 0.0}, "Seconds."),
    Flag("-n", "--clean_names", "files under raw/", "FILE ... or --folder", {}, "Any path, any format."),
    Flag("-t", "--trans", "0", "--transpose", {"transpose": 0.0}, "`0,5,-3` for several files; short lists repeat."),
    Flag("-s", "--spk_list", "(none)", "--speaker", {"speaker": None}, "`Ann,Bo` for several; the first if not said."),
    Flag("-a", "--auto_predict_f0", "off", "--predict-f0", {"predict_f0": False}),
    Flag(
        *("-cm", "--cluster_model_path", '""', "--blend-file", {"blend_file": None}),
        note="Not said: the file beside the model.",
    ),
    Flag("-cr", "--cluster_infer_ratio", "0", "--blend", {"blend": 0.0}),
    Flag("-lg", "--linear_gradient", "0", "--crossfade-s", {"crossfade_s": 0.0}, "Seconds."),
    Flag(
        *("-f0p", "--f0_predictor", "pm", "--pitch", {"pitch": "pm"}),
        note="**Ours is fcpe** (4.1's web page offers no fcpe): it is the predictor our voices are trained with. "
        "rmvpe, crepe, harvest, dio and pm by name.",
    ),
    Flag("-eh", "--enhance", "off", "--enhance", {"enhance": False}),
    Flag("-shd", "--shallow_diffusion", "off", "--diffusion shallow", {"diffusion": "off"}),
    Flag("-usm", "--use_spk_mix", "off", "--speaker-mix FILE", {"speaker_mix": None}, "Reads 4.1's spkmix.py too."),
    Flag(
        *("-lea", "--loudness_envelope_adjustment", "1", "--loudness-envelope", {"loudness_envelope": 1.0}),
        note="4.1's web page starts at 0; the command line's is taken.",
    ),
    Flag("-fr", "--feature_retrieval", "off", "--blend-by retrieval", {"blend_by": "kmeans"}),
    Flag(
        *("-dm", "--diffusion_model_path", "logs/44k/diffusion/model_0.pt"),
        *("--diffusion-model", {"diffusion_model": None}, "Not said: the newest in the model's folder `diffusion`."),
    ),
    Flag(
        *("-dc", "--diffusion_config_path", "logs/44k/diffusion/config.yaml"),
        *("--diffusion-config", {"diffusion_config": None}, "Not said: the one beside the diffusion model."),
    ),
    Flag("-ks", "--k_step", "100", "--k-step", {"k_step": 100}),
    Flag("-se", "--second_encoding", "off", "--second-encoding", {"second_encoding": False}),
    Flag("-od", "--only_diffusion", "off", "--diffusion only", {"diffusion": "off"}),
    Flag("-sd", "--slice_db", "-40", "--slice-db", {"slice_db": -40.0}, "dBFS."),
    Flag("-d", "--device", "auto", "--device", {}, "`auto`, `cpu`, `cuda`, `cuda:N`."),
    Flag("-ns", "--noice_scale", "0.4", "--noise-scale", {"noise_scale": 0.4}),
    Flag(
        *("-p", "--pad_seconds", "0.5", "--pad-s", {"pad_s": 0.5}),
        note="4.1 pads with silence; here the recording around the passage is heard, which has no edge.",
    ),
    Flag(
        *("-wf", "--wav_format", "flac", "--format", {"format": "flac"}),
        note="**Ours is wav**, the first choice of 4.1's web page.",
    ),
    Flag("-lgr", "--linear_gradient_retain", "0.75", "--crossfade-keep", {"crossfade_keep": 0.75}),
    Flag("-eak", "--enhancer_adaptive_key", "0", "--enhancer-key", {"enhancer_key": 0.0}, "Semitones."),
    Flag(
        *("-ft", "--f0_filter_threshold", "0.05", "--f0-threshold", {"f0_threshold": 0.05}),
        note="Not said: the predictor's own, which is 0.05 for fcpe and rmvpe. **For crepe it is 0.21** (tiny 0.35), "
        "which keeps noise unvoiced.",
    ),
)
OURS_DIFFER = ("pitch", "format", "f0_threshold")
"""Options whose default here is another than 4.1's, each with its reason in the note."""


def upstream_defaults() -> dict[str, Any]:
    """Our options as 4.1's command line sets them when nothing is said (paths and speakers left out)."""
    merged: dict[str, Any] = {}
    for flag in FLAGS:
        merged |= {name: value for name, value in flag.sets.items() if value is not None}
    return merged


def our_default(name: str) -> Any:
    """The default of an option."""
    return ConvertOptions.model_fields[name].default


def table() -> str:
    """The rows of the page docs/from_so_vits_svc.md, as Markdown."""
    lines = ["| 4.1 | default there | here | default here | |", "|---|---|---|---|---|"]
    for flag in FLAGS:
        ours = ", ".join(_shown(our_default(name)) for name in flag.sets) or "–"
        lines.append(f"| `{flag.short}` `{flag.long}` | {flag.default} | `{flag.ours}` | {ours} | {flag.note} |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
