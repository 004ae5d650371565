"""What watches training: progress, the log, VisualDL, sample grids, checkpoints, signals."""
