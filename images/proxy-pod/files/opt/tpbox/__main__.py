"""The proxy pod's entrypoint: `/usr/bin/python3 -I /opt/tpbox [attach | snapshot | resolve NAME…]`."""

import sys

from agent import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
