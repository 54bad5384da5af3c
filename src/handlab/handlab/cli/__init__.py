"""The command line: `./handlab VERB`. Each verb is one file of the folders below."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by numpy and torch when they are imported
os.environ["MPLBACKEND"] = "agg"  # figures are files; matplotlib fails at unknown names
