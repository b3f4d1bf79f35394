"""Conversion of sound as it comes: microphone in, another voice out, a fraction of a second later."""
