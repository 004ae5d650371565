"""What is on disk: files written whole or not at all, the run directory and what is in it.

Read ``files``, ``run_directory``, then ``checkpoint`` (the format) and ``retention`` (which
of a run's checkpoints stay); then the logs and pictures.
"""
