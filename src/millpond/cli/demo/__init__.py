"""The demo: real work on real data, served to a crowd, surviving a killed worker."""
