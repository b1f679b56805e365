"""Generators of the data of scale ``mini``: made or found offline, deterministic, nothing downloaded."""
