"""VoxCPM 0.5B, 1.5 and 2, through the package `voxcpm`: its modules and formats, our loading, sessions and streaming.

Notation: B batch, T positions (text tokens and audio patches), P latent frames of a
patch, D latent size, H hidden size.
"""
