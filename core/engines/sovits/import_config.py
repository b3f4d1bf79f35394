"""The config that an imported voice model gets: the file's own where it fits, made to fit where it does not."""

from core.engines.sovits.anatomy import ENCODERS_BY_WIDTH, Shapes, differences, explain, fit_config, generator_fields
from core.engines.sovits.config import SovitsConfig, parse_config


def fitted(config: SovitsConfig | None, shapes: Shapes) -> SovitsConfig:
    """A config for a generator's shapes: `config` as it is, `config` fitted, or one of the shapes alone.

    Heads and dilations leave no trace in shapes; they are then so-vits-svc's own. Raises KeyError where the shapes
    are no generator's, BadInput where no config fits them.
    """
    if config is None:
        fields = generator_fields(shapes)
        width = fields["ssl_dim"]
        raw = {
            "model": {
                "ssl_dim": width,
                "n_speakers": fields["n_speakers"],
                "gin_channels": fields["gin_channels"],
                "speech_encoder": ENCODERS_BY_WIDTH.get(width, ("vec768l12",))[0],
            },
            "spk": {f"speaker {row}": row for row in range(min(fields["n_speakers"], 1000))},
        }
        config = parse_config(raw, "the config made of the file")
    return fit_config(config, shapes) if differences(shapes, config) else config


def what_is_fitted(config: SovitsConfig | None, shapes: Shapes) -> tuple[str, str]:
    """(what is wrong, what the import does about it), both empty where the config fits."""
    if config is None:
        return (
            "There is no config.json with it.",
            "Its sizes are read from the file; speakers get numbers for names, and the encoder is the usual one for "
            "its width. With the config.json that belongs to it, import it again.",
        )
    said = explain(shapes, config)
    if said is None:
        return "", ""
    return f"Its config.json is another model's: {said[0]}.", "The import takes from the file what the file decides."
