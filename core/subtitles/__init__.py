"""Subtitles: read any file, clean and merge the cues, check what came back from elsewhere."""
