package relay

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"tpbox.dev/netstack/internal/pair"
)

var (
	errDead   = errors.New("dead")
	errClosed = errors.New("closed")
)

// played is a Conn as a test wants it.
type played struct {
	io.Reader
	send    func([]byte) error
	sent    bytes.Buffer
	ended   bool // by CloseWrite
	once    sync.Once
	aborted chan struct{}
}

func play(reader io.Reader) *played {
	p := &played{Reader: reader, aborted: make(chan struct{})}
	p.send = func(data []byte) error { p.sent.Write(data); return nil }
	return p
}

func (p *played) Send(buffer []byte) error { return p.send(buffer[Headroom:]) }
func (p *played) CloseWrite() error        { p.ended = true; return nil }
func (p *played) Close() error             { return nil }
func (p *played) Abort()                   { p.once.Do(func() { close(p.aborted) }) }

func (p *played) isAborted() bool {
	select {
	case <-p.aborted:
		return true
	default:
		return false
	}
}

type reading func([]byte) (int, error)

func (r reading) Read(buffer []byte) (int, error) { return r(buffer) }

func TestBothEndsAreCarriedAndNothingIsReset(t *testing.T) {
	a, b := play(strings.NewReader("question")), play(strings.NewReader("answer"))
	Join(a, b)
	if a.sent.String() != "answer" || b.sent.String() != "question" || !a.ended || !b.ended {
		t.Errorf("%q, %q", a.sent.String(), b.sent.String())
	}
	if a.isAborted() || b.isAborted() {
		t.Error("reset")
	}
}

func TestWhatWasReadBeforeAResetIsSent(t *testing.T) {
	b := play(nil)
	b.Reader = reading(func([]byte) (int, error) { <-b.aborted; return 0, errClosed })
	a := play(io.MultiReader(strings.NewReader("answer"), reading(func([]byte) (int, error) { return 0, errDead })))
	Join(a, b)
	if b.sent.String() != "answer" || b.ended || !a.isAborted() || !b.isAborted() {
		t.Errorf("%q, then an end: %v", b.sent.String(), b.ended)
	}
}

// What a connection that can no longer be written to has received is carried, to its end or its reset.
func TestWhatIsUnreadWhenASendFailsIsCarried(t *testing.T) {
	for _, end := range []error{io.EOF, errDead} {
		failed := make(chan struct{})
		dead := play(io.MultiReader(
			reading(func([]byte) (int, error) { <-failed; time.Sleep(10 * time.Millisecond); return 0, io.EOF }),
			strings.NewReader(strings.Repeat("answer", 10000)),
			reading(func([]byte) (int, error) { return 0, end }),
		))
		dead.send = func([]byte) error { close(failed); return errDead }
		alive := play(strings.NewReader("question"))
		Join(dead, alive)
		if got := alive.sent.Len(); got != 60000 || alive.ended != (end == io.EOF) {
			t.Errorf("%v: %d bytes, then an end: %v", end, got, alive.ended)
		}
		if !dead.isAborted() || !alive.isAborted() {
			t.Errorf("%v: not reset", end)
		}
	}
}

// A program that only writes, to a connection that is dead, does not wait for itself to read.
func TestWhatNobodyTakesEnds(t *testing.T) {
	t.Parallel()
	dead, stopped := play(strings.NewReader("answer")), play(strings.NewReader("question"))
	dead.send = func([]byte) error { return errDead }
	stopped.send = func([]byte) error { <-stopped.aborted; return errClosed }
	began := time.Now()
	Join(dead, stopped)
	if took := time.Since(began); took < remainder || took > 2*remainder {
		t.Error(took)
	}
}

func TestSettleEnds(t *testing.T) {
	began := time.Now()
	Settle(func() bool { return false })
	if took := time.Since(began); took < patience/2 || took > 3*patience {
		t.Error(took)
	}
	Settle(func() bool { return true })
}

// socket is a kernel's connection, for the benchmark.
type socket struct{ *net.TCPConn }

func (s socket) Send(buffer []byte) error { _, err := s.Write(buffer[Headroom:]); return err }
func (s socket) Abort()                   { s.Close() }

func sockets(b *testing.B) (ours socket, theirs *net.TCPConn) {
	listener := pair.Listener(b)
	dialled := pair.Dial(b, listener)
	accepted, err := listener.Accept()
	if err != nil {
		b.Fatal(err)
	}
	return socket{accepted.(*net.TCPConn)}, dialled.(*net.TCPConn)
}

// BenchmarkJoin is a stream of bytes: socket, Join, multiplexer over TLS, Join, socket.
func BenchmarkJoin(b *testing.B) {
	const size = 64 << 20
	b.SetBytes(size)
	part := make([]byte, 256<<10)
	for range b.N {
		near, far := streams(b)
		nearSocket, program := sockets(b)
		farSocket, server := sockets(b)
		go Join(nearSocket, near)
		go Join(farSocket, far)
		go func() {
			for range size / len(part) {
				program.Write(part)
			}
			program.CloseWrite()
		}()
		if count, err := io.Copy(io.Discard, server); count != size || err != nil {
			b.Fatal(count, err)
		}
		server.Close()
		io.Copy(io.Discard, program)
	}
}
