"""Makes the built-in content encoder: corpus, teacher, training, evaluation."""
