"""From behaviour to calibrated evidence: identity, then features as of an instant, then the identification model."""
