"""Between sshfs and ssh: files that are about to be read are fetched ahead.

    python3 -I /opt/tpbox sftp ssh -F … pod -s sftp      # sshfs's `ssh_command`

SFTP asks for each file anew: its attributes, its handle, its content, a round trip each. A program that reads a
folder's files one after another is noticed (`listing`), the next ones are asked for at once (`ahead`), and sshfs is
answered from here. What is not understood is passed on as it is (`relay`).
"""

from sftp.relay import main

__all__ = ["main"]
