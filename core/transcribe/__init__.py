"""Speech to subtitles: Whisper and Parakeet, word times, sentence-level cues."""
