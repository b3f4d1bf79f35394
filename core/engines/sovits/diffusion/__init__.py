"""Shallow diffusion: so-vits-svc's second model, which cleans the mel of the first."""
