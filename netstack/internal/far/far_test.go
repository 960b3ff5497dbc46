package far

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-yamux/v5"

	"tpbox.dev/netstack/internal/pair"
	"tpbox.dev/netstack/internal/transport"
	"tpbox.dev/netstack/internal/wire"
)

// joined is near's end of a session with far.
func joined(t *testing.T, listener net.Listener) *yamux.Session {
	t.Helper()
	nearIdentity, farIdentity := pair.Identities(t)
	go Serve(listener, farIdentity)
	session, err := transport.Client(transport.Buffered(pair.Dial(t, listener)), nearIdentity)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

// open asks far to dial.
func open(t *testing.T, session *yamux.Session, network wire.Network, address netip.AddrPort) *yamux.Stream {
	t.Helper()
	stream, err := session.OpenStream(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	stream.SetDeadline(time.Now().Add(20 * time.Second))
	stream.Write(wire.Open{Network: network, Address: address}.Append(nil))
	return stream
}

// short is a listener that has run out of descriptors for a while.
type short struct {
	net.Listener
	failures int
}

func (s *short) Accept() (net.Conn, error) {
	if s.failures > 0 {
		s.failures--
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return s.Listener.Accept()
}

func TestServeOutlivesAShortageOfDescriptors(t *testing.T) {
	session := joined(t, &short{pair.Listener(t), 2})
	if _, err := session.Ping(); err != nil {
		t.Error(err)
	}
}

func TestServeEndsWithItsListener(t *testing.T) {
	listener := pair.Listener(t)
	listener.Close()
	_, identity := pair.Identities(t)
	if err := Serve(listener, identity); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// full is a listener whose queue is full: whoever dials it waits.
func full(t *testing.T) netip.AddrPort {
	t.Helper()
	descriptor, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(descriptor) })
	loopback := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := errors.Join(syscall.Bind(descriptor, loopback), syscall.Listen(descriptor, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(descriptor)
	if err != nil {
		t.Fatal(err)
	}
	address := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(name.(*syscall.SockaddrInet4).Port))
	for {
		conn, err := net.DialTimeout("tcp", address.String(), 300*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { conn.Close() })
	}
}

func TestADialThatNobodyWantsAnyMoreEnds(t *testing.T) {
	for name, giveUp := range map[string]func(*yamux.Session, *yamux.Stream){
		"reset":     func(_ *yamux.Session, stream *yamux.Stream) { stream.Reset() },
		"link lost": func(session *yamux.Session, _ *yamux.Stream) { session.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			session := joined(t, pair.Listener(t))
			address := full(t)
			before := runtime.NumGoroutine()
			stream := open(t, session, wire.TCP, address)
			time.Sleep(patience + 200*time.Millisecond)
			if runtime.NumGoroutine() <= before {
				t.Fatal("nobody dials")
			}
			giveUp(session, stream)
			for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("far dials on")
				}
			}
		})
	}
}

func TestStatusOf(t *testing.T) {
	for err, want := range map[error]wire.Status{
		nil:                   wire.Connected,
		syscall.ECONNREFUSED:  wire.Refused,
		syscall.EHOSTUNREACH:  wire.HostUnreachable,
		syscall.ENETUNREACH:   wire.NetworkUnreachable,
		syscall.EACCES:        wire.Prohibited,
		syscall.EPERM:         wire.Prohibited,
		syscall.ETIMEDOUT:     wire.NoAnswer,
		context.Canceled:      wire.NoAnswer,
		syscall.EMFILE:        wire.Failed,
		syscall.EADDRNOTAVAIL: wire.Failed,
	} {
		if err != nil {
			err = &net.OpError{Op: "dial", Err: err}
		}
		if got := statusOf(err); got != want {
			t.Errorf("%v: %d, not %d", err, got, want)
		}
	}
}

func TestMalformedOpensAreReset(t *testing.T) {
	stream, err := joined(t, pair.Listener(t)).OpenStream(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	stream.SetDeadline(time.Now().Add(20 * time.Second))
	stream.Write([]byte{9, 9})
	if _, err := stream.Read(make([]byte, 1)); !errors.Is(err, yamux.ErrStreamReset) {
		t.Error(err)
	}
}

// A datagram that is sent after a refusal, and before anybody has read that, is sent all the same.
func TestASendIsNotLostByTheRefusalBefore(t *testing.T) {
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	address := server.LocalAddr().(*net.UDPAddr)
	conn, err := net.DialUDP("udp", nil, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	server.Close()
	udp{conn}.send([]byte("to nobody"))
	if server, err = net.ListenUDP("udp", address); err != nil {
		t.Skip(err)
	}
	defer server.Close()
	udp{conn}.send([]byte("to somebody"))
	server.SetReadDeadline(time.Now().Add(5 * time.Second))
	got := make([]byte, 100)
	if count, err := server.Read(got); err != nil || string(got[:count]) != "to somebody" {
		t.Errorf("%q, %v", got[:count], err)
	}
}

func TestEchoesAreReal(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		t.Run(address, func(t *testing.T) {
			stream := open(t, joined(t, pair.Listener(t)), wire.Echo, netip.AddrPortFrom(netip.MustParseAddr(address), 0))
			status, err := wire.ReadStatus(stream)
			if err != nil {
				t.Fatal(err)
			}
			probe, socket := dialEcho(netip.MustParseAddr(address))
			if socket != nil {
				if want := statusOf(socket); status != want || status == wire.Connected {
					t.Errorf("%v became status %d, not %d", socket, status, want)
				}
				t.Skip("not let: ", socket)
			}
			probe.Close()
			for _, size := range []int{0, 56, 8000, 60000} {
				sent := append([]byte{0x12, 0x34}, bytes.Repeat([]byte{7}, size)...)
				stream.Write(wire.AppendDatagram(nil, sent))
				got, err := wire.ReadDatagram(stream)
				if err != nil || !bytes.Equal(got, sent) {
					t.Errorf("%d bytes: %d, %v", size, len(got), err)
				}
			}
		})
	}
}

func TestAnEchoThatIsNotLetIsProhibited(t *testing.T) {
	if got := statusOf(os.NewSyscallError("socket", syscall.EACCES)); got != wire.Prohibited {
		t.Error(got)
	}
}

// What waits for replies holds no buffer: there may be thousands.
func TestWaitingForDatagramsCostsLittle(t *testing.T) {
	const count = 256
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	address := server.LocalAddr().(*net.UDPAddr)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range count {
		conn, err := net.DialUDP("udp", nil, address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go echo{udp{conn}, false}.receive()
	}
	time.Sleep(100 * time.Millisecond)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / count; each > 16<<10 {
		t.Errorf("each costs %d bytes", each)
	}
}
