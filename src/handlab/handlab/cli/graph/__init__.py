"""Verbs that start a graph, an emulated hand or a viewer."""
