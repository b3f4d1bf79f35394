"""A small typed client of Timbre Studio's HTTP service: characters, training, speech.

It needs httpx and nothing of the studio: copy the folder, or put `client/` on the path.
"""

from timbre_client.characters import CharacterClient, ServiceError, WaitTimeout
from timbre_client.speech import SpeechClient

__all__ = ["CharacterClient", "ServiceError", "SpeechClient", "WaitTimeout"]
