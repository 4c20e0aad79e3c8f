"""Identification: from tests of a cell to its cell file, each value with its uncertainty."""
