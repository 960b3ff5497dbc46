package relay

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-yamux/v5"

	"tpbox.dev/netstack/internal/pair"
	"tpbox.dev/netstack/internal/transport"
	"tpbox.dev/netstack/internal/wire"
)

// sessions are the two ends of a link.
func sessions(t testing.TB) (client, server *yamux.Session) {
	t.Helper()
	near, far := pair.Identities(t)
	listener := pair.Listener(t)
	accepted := make(chan *yamux.Session, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		session, err := transport.Server(transport.Buffered(conn), far)
		if err != nil {
			conn.Close()
		}
		accepted <- session
	}()
	client, err := transport.Client(transport.Buffered(pair.Dial(t, listener)), near)
	if err != nil {
		t.Fatal(err)
	}
	server = <-accepted
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}

// connect opens a stream, on which the accepting side has said a byte, as far does.
func connect(t testing.TB, client, server *yamux.Session) (opened, accepted *Stream) {
	t.Helper()
	from, err := client.OpenStream(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	from.Write([]byte{0})
	to, err := server.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	to.Write([]byte{0})
	for _, stream := range []*yamux.Stream{from, to} {
		if _, err := io.ReadFull(stream, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	return NewStream(from), NewStream(to)
}

func streams(t testing.TB) (opened, accepted *Stream) {
	t.Helper()
	client, server := sessions(t)
	return connect(t, client, server)
}

func send(stream *Stream, size int) error { return stream.Send(make([]byte, Headroom+size)) }

func TestAnAbortComesBehindWhatWasSent(t *testing.T) {
	client, server := sessions(t)
	for range 200 {
		from, to := connect(t, client, server)
		var group sync.WaitGroup
		send(from, 5)
		send(from, 60000)
		for range 2 { // as both directions of Join may
			group.Add(1)
			go func() {
				defer group.Done()
				from.Abort()
			}()
		}
		group.Wait()
		for send(to, 1) == nil { // until the stream's reset is there, which comes last
			time.Sleep(time.Millisecond)
		}
		if got, err := io.ReadAll(to); len(got) != 60005 || err != wire.ErrReset {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	if left := client.NumStreams() + server.NumStreams(); left != 0 {
		t.Errorf("%d streams are left", left)
	}
}

func TestAnAbortDoesNotOvertakeAnEnd(t *testing.T) {
	client, server := sessions(t)
	for range 200 {
		from, to := connect(t, client, server)
		send(from, 5)
		ended := make(chan struct{})
		go func() {
			from.CloseWrite()
			close(ended)
		}()
		from.Abort()
		<-ended
		for send(to, 1) == nil {
			time.Sleep(time.Millisecond)
		}
		if got, err := io.ReadAll(to); len(got) != 5 || err != nil && err != wire.ErrReset {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}

// A peer that takes nothing does not hold up an Abort, nor a Send beside it.
func TestAnAbortDoesNotWaitForLong(t *testing.T) {
	const window = 256 << 10
	for name, test := range map[string]struct{ sending, halfClosed bool }{
		"window used up":              {false, false},
		"a Send waits":                {true, false},
		"a Send waits, half-closed":   {true, true},
		"window used up, half-closed": {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := streams(t)
			if test.halfClosed {
				to.CloseWrite()
				io.ReadAll(from)
			}
			for range 3 {
				send(from, window/4-Headroom)
			}
			send(from, window/4-Headroom-1) // and connect's byte
			sent := make(chan error, 1)
			if test.sending {
				go func() { sent <- send(from, 1) }()
				time.Sleep(50 * time.Millisecond)
			} else {
				sent <- io.EOF
			}
			began := time.Now()
			from.Abort()
			if took := time.Since(began); took > 3*patience {
				t.Error(took)
			}
			if err := <-sent; err == nil {
				t.Error("it was sent")
			}
			// The stream's own reset drops what there was.
			if _, err := io.ReadAll(to); err == nil {
				t.Error("an end, not a reset")
			}
		})
	}
}

func TestAnEndWithinAChunkIsAReset(t *testing.T) {
	for _, text := range []string{"\x00", "\x00\x05", "\x00\x05ab"} {
		from, to := streams(t)
		from.stream.Write([]byte(text))
		from.stream.CloseWrite()
		other := play(nil)
		other.Reader = reading(func([]byte) (int, error) { <-other.aborted; return 0, errClosed })
		Join(to, other)
		if other.ended || !other.isAborted() || other.sent.Len() != max(0, len(text)-Headroom) {
			t.Errorf("%q: %q, then an end: %v", text, other.sent.String(), other.ended)
		}
		if _, err := io.ReadAll(from); err == nil {
			t.Errorf("%q: the peer sees an end", text)
		}
	}
}

func TestALostLinkIsAReset(t *testing.T) {
	client, server := sessions(t)
	_, to := connect(t, client, server)
	client.Close()
	if _, err := io.ReadAll(to); err == nil {
		t.Error("an end")
	}
}
