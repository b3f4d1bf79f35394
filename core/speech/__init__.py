"""Text in, speech out: what every speech engine shares."""
