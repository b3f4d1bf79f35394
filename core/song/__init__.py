"""A finished song: parted, the voice converted, mixed back over the accompaniment."""
