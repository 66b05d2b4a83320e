"""Deciding: evidence, lists and policy make a verdict. No arrays, no files, no clock.

The same question gives the same answer, today and in a replay.
"""
