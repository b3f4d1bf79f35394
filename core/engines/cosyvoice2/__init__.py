"""CosyVoice2 and Fun-CosyVoice3: text to speech with a prompt voice, whole or as a stream. For inference.

`streaming` what causal layers remember; `flow`, `encoder`, `unet`, `dit` speech tokens to mel; `hift`, `source`
mel to audio; `language_model`, `decoding`, `sampling` text to speech tokens; `session` the whole way for one request.
"""
