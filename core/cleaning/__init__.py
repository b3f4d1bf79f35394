"""Cleaning recordings before they are cut: optional steps in order, each kept for listening and undo."""
