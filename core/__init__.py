"""Everything the studio does without a browser. Imports nothing of ui, api or cli."""

__version__ = "0.1.0"
