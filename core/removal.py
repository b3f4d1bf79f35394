"""Taking a voice away: the folder, its runs and its jobs, together and never for good."""

from pathlib import Path

from core.dataset.voices import VoiceStore
from core.jobs.store import JobStore
from core.settings import Settings
from core.training import runs
from core.training.desk import TrainingDesk


def delete_voice(settings: Settings, jobs: JobStore, name: str) -> Path:
    """Move a voice to the trash beside the voices, its runs to that beside the runs; returns where the voice lies now.

    Its jobs take the trash's name, so that a later voice of this name has nothing to do with them.

    Raises:
        NotFound: there is no such voice.
        Conflict: a run of it is going on; nothing was moved then.
    """
    voices, desk = VoiceStore(settings.voices_dir), TrainingDesk(settings)
    voice = voices.get(name)
    made = runs.list_runs(settings.runs, voice.name)
    for run in made:
        desk.refuse_while_going(run.name)
    for run in made:
        desk.delete(run.name)
    grave = voices.delete(voice.name)
    jobs.rename_voice(voice.name, f"{grave.parent.name}/{grave.name}")
    return grave
