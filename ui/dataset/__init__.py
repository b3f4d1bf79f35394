"""The tabs of the page Dataset beside its clips."""
