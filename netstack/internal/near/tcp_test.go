package near

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/libp2p/go-yamux/v5"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"tpbox.dev/netstack/internal/wire"
)

const (
	wasRefused     = "connection was refused"
	wasReset       = "connection reset by peer"
	toNoHost       = "no route to host"
	toNoNetwork    = "network is unreachable"
	transferred    = 16 << 20
	handshakeCount = 1000
)

func wantError(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("%v, not %q", err, words)
	}
}

func echoBytes(conn *net.TCPConn) { io.Copy(conn, conn) }

func TestConnectAndEcho(t *testing.T) {
	pods(t, func(t *testing.T, pod netip.Addr) {
		conn := start(t, real).mustDial(serveTCP(t, pod, echoBytes))
		conn.Write([]byte("hello"))
		got := make([]byte, 5)
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestClosedPortIsRefused(t *testing.T) {
	pods(t, func(t *testing.T, pod netip.Addr) {
		_, err := start(t, real).dial(closedPort(t, pod))
		wantError(t, err, wasRefused)
	})
}

func TestUnreachableIsWhatFarSays(t *testing.T) {
	for status, words := range map[wire.Status]string{
		wire.HostUnreachable:    toNoHost,
		wire.NetworkUnreachable: toNoNetwork,
		wire.Prohibited:         toNoHost,
		wire.Failed:             toNoHost,
	} {
		pods(t, func(t *testing.T, pod netip.Addr) {
			if pod.Is6() && status != wire.NetworkUnreachable {
				t.Skip("gVisor's program takes no notice of it, where Linux's does: TestUnreachablePackets has the packets")
			}
			w := start(t, answering(status))
			_, err := w.dial(netip.AddrPortFrom(pod, 80))
			wantError(t, err, words)
			within(t, time.Second, "the SYN is forgotten", func() bool { return w.pending() == 0 })
		})
	}
}

func (w *world) pending() int {
	w.near.syns.lock.Lock()
	defer w.near.syns.lock.Unlock()
	return len(w.near.syns.pending)
}

func TestServersResetIsAReset(t *testing.T) {
	pods(t, func(t *testing.T, pod netip.Addr) {
		conn := start(t, real).mustDial(serveTCP(t, pod, func(conn *net.TCPConn) {
			conn.Read(make([]byte, 1))
			conn.SetLinger(0)
		}))
		conn.Write([]byte("x"))
		_, err := conn.Read(make([]byte, 1))
		wantError(t, err, wasReset)
	})
}

func TestProgramsResetIsAReset(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	w := start(t, real)
	w.mustDial(serveTCP(t, pod4, func(conn *net.TCPConn) {
		_, err := conn.Read(make([]byte, 1))
		ended <- err
	}))
	w.program.Close() // aborts what is open
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server saw %v", err)
	}
}

func TestEachDirectionEndsByItself(t *testing.T) {
	pods(t, func(t *testing.T, pod netip.Addr) {
		w := start(t, real)
		// The program ends first, and the server answers what it got by then.
		conn := w.mustDial(serveTCP(t, pod, func(conn *net.TCPConn) {
			text, _ := io.ReadAll(conn)
			conn.Write(bytes.ToUpper(text))
		}))
		conn.Write([]byte("question"))
		conn.CloseWrite()
		if text, err := io.ReadAll(conn); err != nil || string(text) != "QUESTION" {
			t.Errorf("%q, %v", text, err)
		}
		// The server ends first.
		got := make(chan string, 1)
		conn = w.mustDial(serveTCP(t, pod, func(conn *net.TCPConn) {
			conn.Write([]byte("banner"))
			conn.CloseWrite()
			text, _ := io.ReadAll(conn)
			got <- string(text)
		}))
		if text, err := io.ReadAll(conn); err != nil || string(text) != "banner" {
			t.Errorf("%q, %v", text, err)
		}
		conn.Write([]byte("thanks"))
		conn.Close()
		if text := <-got; text != "thanks" {
			t.Errorf("the server got %q", text)
		}
		within(t, 5*time.Second, "the stream has ended", func() bool { return w.session.NumStreams() == 0 })
	})
}

func TestMuchArrivesWhole(t *testing.T) {
	pods(t, func(t *testing.T, pod netip.Addr) {
		sent := make([]byte, transferred)
		rand.New(rand.NewSource(1)).Read(sent)
		want := sha256.Sum256(sent)
		conn := start(t, real).mustDial(serveTCP(t, pod, func(conn *net.TCPConn) {
			got, _ := io.ReadAll(conn)
			if sum := sha256.Sum256(got); sum != want {
				t.Errorf("%d bytes arrived, or others", len(got))
			}
			conn.Write(got)
		}))
		go func() {
			conn.Write(sent)
			conn.CloseWrite()
		}()
		got, err := io.ReadAll(conn)
		if sum := sha256.Sum256(got); err != nil || sum != want {
			t.Errorf("%d bytes came back, or others (%v)", len(got), err)
		}
	})
}

func TestAReaderThatHasStoppedStopsTheServer(t *testing.T) {
	t.Parallel()
	const bound = 24 << 20 // windows, the stack's buffers, and the kernel's of three sockets
	var accepted atomic.Int64
	start(t, real).mustDial(serveTCP(t, pod4, func(conn *net.TCPConn) {
		for part := make([]byte, 64<<10); ; {
			count, err := conn.Write(part)
			if accepted.Add(int64(count)); err != nil {
				return
			}
		}
	}))
	var last int64
	within(t, 20*time.Second, "nothing more is taken", func() bool {
		before := last
		time.Sleep(time.Second)
		last = accepted.Load()
		return last == before
	})
	if last > bound {
		t.Errorf("%d bytes were taken of a server whose reader has stopped", last)
	}
}

func TestManyHandshakesAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t, real)
	to := serveTCP(t, pod4, echoBytes)
	var group sync.WaitGroup
	for range handshakeCount {
		group.Add(1)
		go func() {
			defer group.Done()
			conn, err := w.dial(to)
			if err != nil {
				t.Error(err)
				return
			}
			conn.Write([]byte("x"))
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}()
	}
	group.Wait()
	if left := w.pending(); left != 0 { // an open connection needs its SYN no more
		t.Errorf("%d SYNs are remembered", left)
	}
}

func TestProgramThatGivesUpEndsFarsDial(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	w := start(t, played(func(stream *yamux.Stream, _ wire.Open) {
		_, err := stream.Read(make([]byte, 1)) // a dial that nobody answers
		ended <- err
	}))
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := gonet.DialContextTCP(ctx, w.program, full(netip.AddrPortFrom(pod4, 80)), protocolOf(pod4)); err == nil {
		t.Fatal("connected")
	}
	select {
	case err := <-ended:
		if !errors.Is(err, yamux.ErrStreamReset) {
			t.Errorf("far's stream ended with %v", err)
		}
	case <-time.After(15 * time.Second):
		t.Error("far dials on")
	}
	within(t, 5*time.Second, "the SYN is forgotten", func() bool { return w.pending() == 0 })
}

func TestAbandoned(t *testing.T) {
	t.Parallel()
	first := time.Now()
	at := func(seconds float64) time.Time { return first.Add(time.Duration(seconds * float64(time.Second))) }
	for _, test := range []struct {
		last, now float64
		want      bool
	}{{0, 2.9, false}, {0, 3.1, true}, {1, 3, false}, {3, 7, false}, {3, 12.1, true}, {31, 63, false}} {
		if got := (&syn{first: first, last: at(test.last)}).abandoned(at(test.now)); got != test.want {
			t.Errorf("last %v, now %v: %v", test.last, test.now, got)
		}
	}
	if (*syn)(nil).abandoned(first) {
		t.Error("one that nobody has noted")
	}
}

// What comes together with the status, and is read slowly, is not cut off by the dial's patience.
func TestAnswerThatComesWithTheStatusIsReadAtLeisure(t *testing.T) {
	t.Parallel()
	answer := make([]byte, 4*wire.MaxChunk)
	w := start(t, played(func(stream *yamux.Stream, _ wire.Open) {
		message := []byte{byte(wire.Connected)}
		for range 4 {
			chunk := make([]byte, wire.ChunkHead+wire.MaxChunk)
			wire.PutChunkHead(chunk)
			message = append(message, chunk...)
		}
		stream.Write(message)
		stream.CloseWrite()
	}))
	conn := w.mustDial(netip.AddrPortFrom(pod4, 80))
	time.Sleep(1500 * time.Millisecond)
	if got, err := io.ReadAll(conn); err != nil || len(got) != len(answer) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestSYNsAboveTheBoundAreLostAndNotNoted(t *testing.T) {
	t.Parallel()
	table := syns{pending: map[stack.TransportEndpointID]*syn{}}
	for port := range handshakes {
		table.pending[stack.TransportEndpointID{RemotePort: uint16(port)}] = &syn{}
	}
	handled := 0
	w := &Near{}
	w.syns.pending = table.pending
	handle := w.noting(func(stack.TransportEndpointID, *stack.PacketBuffer) bool { handled++; return true })
	packet := synPacket()
	defer packet.DecRef()
	if !handle(stack.TransportEndpointID{RemotePort: 65535}, packet) || handled != 0 {
		t.Error("it was not dropped")
	}
	if len(w.syns.pending) != handshakes {
		t.Errorf("%d are noted", len(w.syns.pending))
	}
	if !handle(stack.TransportEndpointID{RemotePort: 1}, packet) || handled != 1 {
		t.Error("one that comes again was dropped")
	}
}

func TestCloseAndALostLinkResetWhatIsOpen(t *testing.T) {
	for name, end := range map[string]func(*world){
		"Close":     func(w *world) { w.near.Close() },
		"lost link": func(w *world) { w.link.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			served := make(chan error, 1)
			w := start(t, real)
			conn := w.mustDial(serveTCP(t, pod4, func(conn *net.TCPConn) {
				_, err := conn.Read(make([]byte, 1))
				served <- err
			}))
			end(w)
			_, err := conn.Read(make([]byte, 1))
			wantError(t, err, wasReset)
			if err := <-served; !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the server saw %v", err)
			}
		})
	}
}

func TestALostLinkEndsHalfClosedConnectionsOfFar(t *testing.T) {
	t.Parallel()
	ended, halfClosed := make(chan error, 1), make(chan struct{})
	w := start(t, real)
	conn := w.mustDial(serveTCP(t, pod4, func(conn *net.TCPConn) {
		io.Copy(io.Discard, conn)
		close(halfClosed)
		raw, _ := conn.SyscallConn()
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			var state error
			raw.Control(func(descriptor uintptr) {
				code, _ := syscall.GetsockoptInt(int(descriptor), syscall.SOL_SOCKET, syscall.SO_ERROR)
				if code != 0 {
					state = syscall.Errno(code)
				}
			})
			if state != nil {
				ended <- state
				return
			}
		}
		ended <- nil
	}))
	conn.CloseWrite()
	<-halfClosed
	w.link.Close()
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the silent server's connection: %v", err)
	}
}

func TestALinkWhoseStreamsAreUsedUpEnds(t *testing.T) {
	t.Parallel()
	w := start(t, answering(wire.Refused))
	field := reflect.ValueOf(w.session).Elem().FieldByName("nextStreamID")
	atomic.StoreUint32((*uint32)(unsafe.Pointer(field.UnsafeAddr())), 1<<32-1)
	go w.dial(netip.AddrPortFrom(pod4, 80))
	select {
	case <-w.session.CloseChan():
	case <-time.After(10 * time.Second):
		t.Error("it lives on, and carries nothing")
	}
}
