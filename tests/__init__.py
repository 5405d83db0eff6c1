"""Tests on real servers, real images and real weights. What a laptop lacks is skipped; in CI it fails."""
