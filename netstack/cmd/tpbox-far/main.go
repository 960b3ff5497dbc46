// tpbox-far is the exact engine's end in the pod; the agent runs it.
//
//	tpbox-far -listen 127.0.0.1:20023 -key /.tpbox/host_key -client 'ssh-ed25519 AAAA…'
//
// Once it listens it writes `listening`, a line, to its standard output, and it ends when its standard input does.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"

	"tpbox.dev/netstack/internal/far"
	"tpbox.dev/netstack/internal/transport"
)

// memory is where the collector of garbage tries harder, in bytes; the whole is to stay below 150 MB.
const memory = 96 << 20

func main() {
	listen := flag.String("listen", "127.0.0.1:20023", "where to listen")
	key := flag.String("key", "", "the file with our private key, OpenSSH's format")
	client := flag.String("client", "", "the client's public key, as in authorized_keys")
	flag.Parse()
	debug.SetMemoryLimit(memory)
	if err := run(*listen, *key, *client); err != nil {
		fmt.Fprintln(os.Stderr, "tpbox-far:", err)
		os.Exit(1)
	}
}

func run(listen, key, client string) error {
	private, err := os.ReadFile(key)
	if err != nil {
		return err
	}
	identity, err := transport.NewIdentity(private, []byte(client))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println("listening")
	return far.Serve(listener, identity)
}
