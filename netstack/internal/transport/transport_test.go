package transport_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-yamux/v5"

	"tpbox.dev/netstack/internal/pair"
	"tpbox.dev/netstack/internal/transport"
)

type made struct {
	session *yamux.Session
	err     error
}

// join makes both ends over the loopback.
func join(t *testing.T, near, far transport.Identity) (client, server made) {
	t.Helper()
	listener := pair.Listener(t)
	accepted := make(chan made, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			accepted <- made{nil, err}
			return
		}
		session, err := transport.Server(transport.Buffered(conn), far)
		accepted <- made{session, err}
	}()
	session, err := transport.Client(transport.Buffered(pair.Dial(t, listener)), near)
	client, server = made{session, err}, <-accepted
	for _, end := range []made{client, server} {
		if end.err == nil {
			t.Cleanup(func() { end.session.Close() })
		}
	}
	return client, server
}

func TestStreamsCarryBytesAndHalfCloses(t *testing.T) {
	near, far := pair.Identities(t)
	client, server := join(t, near, far)
	if client.err != nil || server.err != nil {
		t.Fatal(client.err, server.err)
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	go func() {
		stream, err := client.session.OpenStream(context.Background())
		if err != nil {
			return
		}
		stream.Write(sent)
		stream.CloseWrite()
	}()
	stream, err := server.session.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(stream); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestClientIsRefusedWhoseKeyIsNotTheSessions(t *testing.T) {
	nearPrivate, _ := pair.Keys(t)
	farPrivate, farPublic := pair.Keys(t)
	_, stranger := pair.Keys(t)
	client, server := join(t, pair.Identity(t, nearPrivate, farPublic), pair.Identity(t, farPrivate, stranger))
	if client.err == nil {
		t.Error("the client was told that all is well")
	}
	if server.err == nil || server.err.Error() != "the peer's key is not the session's" {
		t.Errorf("server: %v", server.err)
	}
}

func TestServerIsRefusedWhoseKeyIsNotTheSessions(t *testing.T) {
	nearPrivate, nearPublic := pair.Keys(t)
	farPrivate, _ := pair.Keys(t)
	_, stranger := pair.Keys(t)
	client, server := join(t, pair.Identity(t, nearPrivate, stranger), pair.Identity(t, farPrivate, nearPublic))
	if client.err == nil || client.err.Error() != "the peer's key is not the session's" {
		t.Errorf("client: %v", client.err)
	}
	if server.err == nil {
		t.Error("the server has taken it")
	}
}

func TestEndIsNoticedOnTheOtherSide(t *testing.T) {
	near, far := pair.Identities(t)
	client, server := join(t, near, far)
	if client.err != nil || server.err != nil {
		t.Fatal(client.err, server.err)
	}
	client.session.Close()
	select {
	case <-server.session.CloseChan():
	case <-time.After(10 * time.Second):
		t.Fatal("the server lives on")
	}
	if _, err := server.session.AcceptStream(); err != io.EOF {
		t.Errorf("it ended with %v", err)
	}
}

// stuck is a connection that from some time on takes nothing, as on a line that is dead.
type stuck struct {
	net.Conn
	dead   atomic.Bool
	closed chan struct{}
}

func (s *stuck) Write(data []byte) (int, error) {
	if s.dead.Load() {
		<-s.closed
		return 0, net.ErrClosed
	}
	return s.Conn.Write(data)
}

func (s *stuck) Close() error {
	close(s.closed)
	return s.Conn.Close()
}

// locked writes one after the other, as a port-forward does.
type locked struct {
	transport.Flusher
	lock sync.Mutex
}

func (l *locked) Write(data []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.Flusher.Write(data)
}

func (l *locked) Flush() error {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.Flusher.Flush()
}

func TestCloseDoesNotWaitForAStuckLine(t *testing.T) {
	near, far := pair.Identities(t)
	here, there := net.Pipe()
	go transport.Server(transport.Buffered(there), far)
	line := &stuck{Conn: here, closed: make(chan struct{})}
	session, err := transport.Client(&locked{Flusher: transport.Buffered(line)}, near)
	if err != nil {
		t.Fatal(err)
	}
	line.dead.Store(true)
	stream, err := session.OpenStream(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	stream.Write(make([]byte, 1<<10))
	time.Sleep(50 * time.Millisecond) // until it is stuck in it
	closed := make(chan struct{})
	go func() {
		session.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(2 * time.Second):
		t.Error("it waits")
	}
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	private, public := pair.Keys(t)
	for name, keys := range map[string][2][]byte{
		"no private key": {[]byte("x"), public},
		"no public key":  {private, []byte("ssh-ed25519 x")},
	} {
		if _, err := transport.NewIdentity(keys[0], keys[1]); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
