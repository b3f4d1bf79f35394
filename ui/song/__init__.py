"""Parts of the page Song."""
