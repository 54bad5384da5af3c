"""Reports, plots, videos and tables."""
