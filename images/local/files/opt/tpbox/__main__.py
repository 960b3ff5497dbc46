"""The helper's entrypoint: `/usr/bin/python3 -I /opt/tpbox [stand | move | copy TREES | host ID | sftp SSH…]`.

Without an argument it is the supervisor; `stand` is PID 1 where that comes later, by `docker exec`.
"""

import sys

import copier
import joiner
import mover
import sftp
from supervisor import main, stand

if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            sys.exit(main())
        case ["stand"]:
            sys.exit(stand.main())
        case ["move"]:
            sys.exit(mover.main())
        case ["copy", trees]:
            sys.exit(copier.main(trees))
        case ["host", number]:
            sys.exit(joiner.main(number))
        case ["sftp", *ssh]:
            sys.exit(sftp.main(ssh))
        case unknown:
            sys.exit(f"tpbox: unknown arguments {unknown}; known: stand, move, copy TREES, host ID, sftp SSH…")
