"""Which recording of which voice the page Cutting works on."""

from typing import TYPE_CHECKING

from ui.controls import Scene

if TYPE_CHECKING:
    from core.studio import Studio


def recordings(studio: "Studio", scene: Scene) -> list[str]:
    """The recordings of the scene's voice; read once a scene."""
    if "recordings" not in scene.values:
        scene.values["recordings"] = studio.cutting.recordings(scene.voice) if scene.voice else []
    known: list[str] = scene.values["recordings"]
    return known


def place(studio: "Studio", scene: Scene) -> tuple[str, str] | None:
    """(voice, recording), or None where none is chosen or the chosen one is gone."""
    name = scene.values.get("recording")
    if scene.voice and name in recordings(studio, scene):
        return scene.voice, str(name)
    return None
