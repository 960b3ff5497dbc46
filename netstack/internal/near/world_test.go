package near

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/libp2p/go-yamux/v5"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/pipe"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"tpbox.dev/netstack/internal/far"
	"tpbox.dev/netstack/internal/pair"
	"tpbox.dev/netstack/internal/transport"
	"tpbox.dev/netstack/internal/wire"
)

// A program's packets to the loopback never leave it: these addresses stand for the loopback's, where far has it.
var (
	pod4, pod6       = netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("fd77::1")
	client4, client6 = netip.MustParseAddr("10.77.9.9"), netip.MustParseAddr("fd77::9")
	loopback         = map[netip.Addr]netip.Addr{
		pod4: netip.MustParseAddr("127.0.0.1"),
		pod6: netip.MustParseAddr("::1"),
	}
)

func TestMain(m *testing.M) {
	told := addrPort
	addrPort = func(address tcpip.Address, port uint16) netip.AddrPort {
		to := told(address, port)
		if real, ok := loopback[to.Addr()]; ok {
			return netip.AddrPortFrom(real, port)
		}
		return to
	}
	os.Exit(m.Run())
}

// world is a program's stack, joined to near's by a link, whose far is real or played.
type world struct {
	t       *testing.T
	program *stack.Stack
	near    *Near
	session *yamux.Session
	link    net.Conn // what is below the session
}

func start(t *testing.T, serve func(net.Listener, transport.Identity) error) *world {
	t.Helper()
	nearIdentity, farIdentity := pair.Identities(t)
	listener := pair.Listener(t)
	go serve(listener, farIdentity)
	link := pair.Dial(t, listener)
	session, err := transport.Client(transport.Buffered(link), nearIdentity)
	if err != nil {
		t.Fatal(err)
	}
	programEnd, nearEnd := pipe.New("", "", MTU)
	near, err := New(nearEnd, session)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, program: program(t, programEnd), near: near, session: session, link: link}
	t.Cleanup(func() {
		near.Close()
		w.program.Close()
	})
	return w
}

func program(t *testing.T, link stack.LinkEndpoint) *stack.Stack {
	t.Helper()
	made := stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{
			tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6,
		},
	})
	if err := made.CreateNIC(nic, link); err != nil {
		t.Fatal(err)
	}
	for _, address := range []netip.Addr{client4, client6} {
		own := tcpip.ProtocolAddress{Protocol: protocolOf(address), AddressWithPrefix: tcpip.AddrFromSlice(address.AsSlice()).WithPrefix()}
		if err := made.AddProtocolAddress(nic, own, stack.AddressProperties{}); err != nil {
			t.Fatal(err)
		}
	}
	made.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nic},
		{Destination: header.IPv6EmptySubnet, NIC: nic},
	})
	return made
}

func protocolOf(address netip.Addr) tcpip.NetworkProtocolNumber {
	if address.Is4() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}

func full(to netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFromSlice(to.Addr().AsSlice()), Port: to.Port()}
}

func (w *world) dial(to netip.AddrPort) (*gonet.TCPConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := gonet.DialContextTCP(ctx, w.program, full(to), protocolOf(to.Addr()))
	if err == nil {
		w.t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(time.Minute))
	}
	return conn, err
}

func (w *world) mustDial(to netip.AddrPort) *gonet.TCPConn {
	w.t.Helper()
	conn, err := w.dial(to)
	if err != nil {
		w.t.Fatal(err)
	}
	return conn
}

func (w *world) dialUDP(to netip.AddrPort) *gonet.UDPConn {
	w.t.Helper()
	address := full(to)
	conn, err := gonet.DialUDP(w.program, nil, &address, protocolOf(to.Addr()))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// pods are the pod's addresses: each test of them is one of IPv4 and IPv6.
func pods(t *testing.T, test func(t *testing.T, pod netip.Addr)) {
	for _, pod := range []netip.Addr{pod4, pod6} {
		t.Run(fmt.Sprintf("IPv%d", map[bool]int{true: 4, false: 6}[pod.Is4()]), func(t *testing.T) {
			t.Parallel()
			test(t, pod)
		})
	}
}

// serveTCP runs a server in the pod, and returns what its program dials.
func serveTCP(t *testing.T, pod netip.Addr, handle func(*net.TCPConn)) netip.AddrPort {
	t.Helper()
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(loopback[pod], 0)))
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.AcceptTCP()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
	return netip.AddrPortFrom(pod, listener.Addr().(*net.TCPAddr).AddrPort().Port())
}

// closedPort is one of the pod's that nobody listens on, neither by TCP nor by UDP.
func closedPort(t *testing.T, pod netip.Addr) netip.AddrPort {
	t.Helper()
	address := loopback[pod]
	listener, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address, 0)))
	if err != nil {
		t.Skip(err)
	}
	defer listener.Close()
	return netip.AddrPortFrom(pod, listener.LocalAddr().(*net.UDPAddr).AddrPort().Port())
}

// played is a far that does with each stream what the test says.
func played(handle func(*yamux.Stream, wire.Open)) func(net.Listener, transport.Identity) error {
	return func(listener net.Listener, identity transport.Identity) error {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		session, err := transport.Server(transport.Buffered(conn), identity)
		if err != nil {
			return err
		}
		for {
			stream, err := session.AcceptStream()
			if err != nil {
				return err
			}
			go func() {
				if open, err := wire.ReadOpen(stream); err == nil {
					handle(stream, open)
				}
			}()
		}
	}
}

// answering is a far whose dials end like this.
func answering(status wire.Status) func(net.Listener, transport.Identity) error {
	return played(func(stream *yamux.Stream, _ wire.Open) {
		stream.Write([]byte{byte(status)})
		stream.Close()
	})
}

var real = far.Serve

// within waits for something to become true.
func within(t *testing.T, patience time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within ", patience, ": ", what)
		}
	}
}
