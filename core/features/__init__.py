"""Content features, pitch and volume: what the generator is driven by."""

F0_MIN_HZ = 50.0
F0_MAX_HZ = 1100.0
"""The range of pitch that so-vits-svc 4.1 was made for; the pitch embedding's steps span it."""
