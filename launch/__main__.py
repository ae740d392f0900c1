"""`python -m launch`, the image's entry point; the same as the command `stillwatch`."""

import sys

from launch.cli import main

if __name__ == "__main__":
    sys.exit(main())
