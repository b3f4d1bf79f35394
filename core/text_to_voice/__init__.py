"""A text in a trained voice: spoken by a plain speech engine, then converted."""
