"""Small pictures of all of an image: made in processes of their own, kept on disk, or a word on why there is none."""
