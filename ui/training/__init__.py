"""The tabs of the Training page."""
