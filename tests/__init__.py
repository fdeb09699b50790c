"""Tests, mirroring the packages; `tiny_world` holds the data that they share."""
