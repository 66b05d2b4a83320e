"""How good a clustering is: density-based validity, silhouette, stability, agreement, a null."""
