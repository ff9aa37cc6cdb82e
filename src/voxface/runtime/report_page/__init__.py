"""The page of a run: one file that needs nothing but a browser, with the faces in three dimensions."""
