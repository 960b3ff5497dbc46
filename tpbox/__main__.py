"""`python -m tpbox`, and the `tpbox` command."""

from tpbox.cli.main import main

if __name__ == "__main__":
    main()
