"""Scripts that keep the repository: none of them runs in the studio."""
