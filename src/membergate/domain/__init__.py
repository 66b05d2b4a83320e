"""The words that everyone shares: instants, evidence, dispositions, decisions, labels, measurements, errors.

Standard library only. Nothing here computes, reads or writes; these are
the frozen types that cross the borders of the house.
"""
