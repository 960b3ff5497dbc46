// tpbox-near is the exact engine's end in the helper; the supervisor runs it, once for each link.
//
//	tpbox-near -tun tpbox0 -kubeconfig FILE -namespace shop -pod tpbox-abcdefgh-x2x4z -port 20023 -key FILE -known-hosts FILE
//
// Once it answers packets it writes `up`, a line, to its standard output. SIGTERM and SIGINT end it with 0; when the
// link is lost it ends with 1. Either way the connections that there are get reset.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"tpbox.dev/netstack/internal/near"
	"tpbox.dev/netstack/internal/portforward"
	"tpbox.dev/netstack/internal/transport"
)

const (
	// memory is where the collector of garbage tries harder, in bytes; the whole is to stay below 150 MB.
	memory = 96 << 20
	// farewell is the time that resets have to reach the program.
	farewell = 20 * time.Millisecond
)

type options struct {
	tun, kubeconfig, key, knownHosts, direct string
	port                                     portforward.Port
}

func main() {
	debug.SetMemoryLimit(memory)
	stopped, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if err := run(stopped, parse()); err != nil && stopped.Err() == nil {
		fmt.Fprintln(os.Stderr, "tpbox-near:", err)
		os.Exit(1)
	}
}

func parse() (o options) {
	flag.StringVar(&o.tun, "tun", "tpbox0", "the TUN device")
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "the file with the cluster and the credential, as JSON")
	flag.StringVar(&o.port.Namespace, "namespace", "default", "the pod's namespace")
	flag.StringVar(&o.port.Pod, "pod", "", "the pod")
	flag.Func("port", "far's port in the pod", func(text string) error {
		number, err := strconv.ParseUint(text, 10, 16)
		o.port.Number = uint16(number)
		return err
	})
	flag.StringVar(&o.key, "key", "", "the file with our private key, OpenSSH's format")
	flag.StringVar(&o.knownHosts, "known-hosts", "", "the file with far's public key, one line of known_hosts")
	flag.StringVar(&o.direct, "direct", "", "HOST:PORT of far, without a port-forward: for tests and measurements")
	flag.Parse()
	return o
}

func run(stopped context.Context, o options) error {
	identity, err := o.identity()
	if err != nil {
		return err
	}
	conn, err := o.dial(stopped)
	if err != nil {
		return err
	}
	interrupted := context.AfterFunc(stopped, func() { conn.Close() })
	session, err := transport.Client(conn, identity)
	interrupted()
	if err != nil {
		return err
	}
	gone := make(chan error, 1)
	tun, err := near.OpenTUN(o.tun, func(err error) { gone <- err })
	if err != nil {
		return err
	}
	end, err := near.New(tun, session)
	if err != nil {
		return err
	}
	fmt.Println("up")
	select {
	case <-stopped.Done():
	case err = <-gone:
	case <-session.CloseChan():
		_, err = session.OpenStream(context.Background()) // its error is why
		err = fmt.Errorf("the connection to the pod is lost: %w", err)
	}
	end.Close()
	time.Sleep(farewell)
	return err
}

func (o options) identity() (transport.Identity, error) {
	private, err := os.ReadFile(o.key)
	if err != nil {
		return transport.Identity{}, err
	}
	known, err := os.ReadFile(o.knownHosts)
	if err != nil {
		return transport.Identity{}, err
	}
	_, key, found := bytes.Cut(known, []byte(" ")) // HOST TYPE KEY
	if !found {
		return transport.Identity{}, errors.New("the known_hosts file holds no key")
	}
	return transport.NewIdentity(private, key)
}

func (o options) dial(ctx context.Context) (transport.Flusher, error) {
	if o.direct != "" {
		conn, err := net.Dial("tcp", o.direct)
		if err != nil {
			return nil, err
		}
		return transport.Buffered(conn), nil
	}
	text, err := os.ReadFile(o.kubeconfig)
	if err != nil {
		return nil, err
	}
	cluster, err := portforward.ParseCluster(text)
	if err != nil {
		return nil, err
	}
	return portforward.Dial(ctx, cluster, o.port)
}
