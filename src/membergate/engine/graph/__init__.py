"""The neighbour graph and the index that finds it."""

from membergate.engine.graph.neighbours import NeighbourGraph

__all__ = ["NeighbourGraph"]
