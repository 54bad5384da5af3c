"""The console in the browser: a node that shows the station, and buttons for people."""
