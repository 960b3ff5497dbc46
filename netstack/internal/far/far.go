// Package far is the end in the pod: it dials what near asks for, says how that ended, and carries the bytes.
//
// It resolves no name, needs no privilege and writes no file.
package far

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/libp2p/go-yamux/v5"

	"tpbox.dev/netstack/internal/relay"
	"tpbox.dev/netstack/internal/transport"
	"tpbox.dev/netstack/internal/wire"
)

// shortage is how long to wait for descriptors to become free.
const shortage = 100 * time.Millisecond

// Serve accepts clients until the listener is closed; each may be the session's next link, and the last one lingers.
func Serve(listener net.Listener, identity transport.Identity) error {
	for {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			go client(conn, identity)
		case errors.Is(err, net.ErrClosed):
			return err
		default: // EMFILE and the like pass, and there are connections to be carried on with
			fmt.Fprintf(os.Stderr, "far: %v\n", err)
			time.Sleep(shortage)
		}
	}
}

func client(conn net.Conn, identity transport.Identity) {
	session, err := transport.Server(transport.Buffered(conn), identity)
	if err != nil {
		fmt.Fprintf(os.Stderr, "far: a client was refused: %v\n", err)
		return
	}
	defer session.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return
		}
		go serve(ctx, stream)
	}
}

// serve carries one stream; ctx ends with the link.
func serve(ctx context.Context, stream *yamux.Stream) {
	open, err := wire.ReadOpen(stream)
	if err != nil {
		stream.Reset()
		return
	}
	switch open.Network {
	case wire.TCP:
		serveTCP(ctx, stream, open.Address)
	case wire.UDP:
		serveUDP(stream, open.Address)
	case wire.Echo:
		serveEcho(stream, open.Address.Addr())
	}
}

// serveTCP dials for as long as the kernel tries, or until near gives up.
func serveTCP(ctx context.Context, stream *yamux.Stream, address netip.AddrPort) {
	dialling, cancel := context.WithCancel(ctx)
	watched := watch(stream, cancel)
	conn, err := dial(dialling, address)
	watched()
	cancel()
	if conn != nil {
		// Once near has half-closed, nobody reads its stream: a server that is silent would keep the connection for ever.
		defer context.AfterFunc(ctx, conn.Abort)()
	}
	answer(stream, conn, err)
}

// patience is how long a dial may take before anybody looks whether it is still wanted: nearly all take less.
const patience = time.Second

// watch calls abandoned when near resets the stream, before anything is answered. The end must be called.
func watch(stream *yamux.Stream, abandoned func()) (end func()) {
	ended := make(chan struct{})
	waiting := time.AfterFunc(patience, func() {
		defer close(ended)
		// near sends nothing before it has the answer: this ends by a reset, or by the deadline below.
		if _, err := stream.Read(make([]byte, 1)); !errors.Is(err, yamux.ErrTimeout) {
			abandoned()
		}
	})
	return func() {
		if waiting.Stop() {
			return
		}
		stream.SetReadDeadline(time.Now())
		<-ended
		stream.SetReadDeadline(time.Time{})
	}
}

func answer(stream *yamux.Stream, conn *tcp, err error) {
	status := statusOf(err)
	if status == wire.Failed {
		fmt.Fprintf(os.Stderr, "far: %v\n", err)
	}
	_, sent := stream.Write([]byte{byte(status)})
	switch {
	case conn != nil && sent == nil:
		relay.Join(conn, relay.NewStream(stream))
	case conn != nil:
		conn.Abort()
	default:
		stream.Close()
	}
}

func dial(ctx context.Context, address netip.AddrPort) (*tcp, error) {
	var dialer net.Dialer // with keep-alive: near's side answers the program's own
	conn, err := dialer.DialContext(ctx, "tcp", address.String())
	if err != nil {
		return nil, err
	}
	return &tcp{TCPConn: conn.(*net.TCPConn)}, nil
}

// statusOf translates what connect(2) gives.
func statusOf(err error) wire.Status {
	switch {
	case err == nil:
		return wire.Connected
	case errors.Is(err, syscall.ECONNREFUSED):
		return wire.Refused
	case errors.Is(err, syscall.EHOSTUNREACH):
		return wire.HostUnreachable
	case errors.Is(err, syscall.ENETUNREACH):
		return wire.NetworkUnreachable
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return wire.Prohibited
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, context.Canceled):
		return wire.NoAnswer
	}
	return wire.Failed
}
