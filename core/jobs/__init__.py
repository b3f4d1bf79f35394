"""The job queue: SQLite, one worker process per job, progress, cancel of the whole process tree, recovery."""
