"""Cutting by subtitles: the speech of each cue becomes a clip with its text."""
