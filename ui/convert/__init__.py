"""The parts of the page Convert."""
