"""The application: graphs of nodes, the command line, reports and the viewer."""
