"""The live page at `/`. Its files are built from the folder `frontend` of the source into `static`."""
