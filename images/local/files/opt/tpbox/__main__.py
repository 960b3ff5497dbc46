"""The helper's entrypoint: `/usr/bin/python3 -I /opt/tpbox [move | copy TREES | host ID | sftp SSH…]`."""

import sys

import copier
import joiner
import mover
import sftp
from supervisor import main

if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            sys.exit(main())
        case ["move"]:
            sys.exit(mover.main())
        case ["copy", trees]:
            sys.exit(copier.main(trees))
        case ["host", number]:
            sys.exit(joiner.main(number))
        case ["sftp", *ssh]:
            sys.exit(sftp.main(ssh))
        case unknown:
            sys.exit(f"tpbox: unknown arguments {unknown}; known: move, copy TREES, host ID, sftp SSH…")
