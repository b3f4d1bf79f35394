"""The quality gate: figures of every clip and of the whole set, findings with advice, verdicts, a report."""
