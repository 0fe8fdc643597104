"""`python -m feature_cache` is the program feature-cache."""

import sys

from ._shell import feature_cache

if __name__ == "__main__":
    sys.argv[0] = "feature-cache"
    sys.exit(feature_cache())
