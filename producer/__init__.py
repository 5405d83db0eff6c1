"""Find images, write the manifest, publish its chunks, and publish again what got lost."""
