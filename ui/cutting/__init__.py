"""The tabs of the page Cutting beside its cues."""
