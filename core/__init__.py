"""Everything the studio does without a browser. Imports nothing of ui, api or cli."""
