"""What is on disk: files written whole or not at all, the run directory and what is in it.

Read ``files``, ``run_directory``, ``checkpoint``; then the logs and pictures.
"""
