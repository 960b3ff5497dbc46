package near

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-yamux/v5"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/waiter"

	"tpbox.dev/netstack/internal/wire"
)

func serveUDP(t *testing.T, pod netip.Addr) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback[pod], 0)))
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		for buffer := make([]byte, 1<<16); ; {
			count, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			conn.WriteToUDPAddrPort(buffer[:count], from)
		}
	}()
	return netip.AddrPortFrom(pod, conn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
}

func TestDatagramsOfAllSizesComeBack(t *testing.T) {
	pods(t, func(t *testing.T, pod netip.Addr) {
		w := start(t, real)
		conn := w.dialUDP(serveUDP(t, pod))
		for _, size := range []int{0, 10, 1400, 8000, 60000} {
			sent := bytes.Repeat([]byte{byte(size)}, size)
			if _, err := conn.Write(sent); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 1<<16)
			count, err := conn.Read(got)
			if err != nil || !bytes.Equal(got[:count], sent) {
				t.Errorf("%d bytes: %d, %v", size, count, err)
			}
		}
		w.near.flows.lock.Lock()
		defer w.near.flows.lock.Unlock()
		if len(w.near.flows.open) != 1 || w.near.flows.waiting != 0 {
			t.Errorf("%d flows, %d bytes wait", len(w.near.flows.open), w.near.flows.waiting)
		}
	})
}

func TestDatagramsToAClosedPortAreRefusedEachTime(t *testing.T) {
	pods(t, func(t *testing.T, pod netip.Addr) {
		conn := start(t, real).dialUDP(closedPort(t, pod))
		for range 3 {
			if _, err := conn.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			refused := func() bool { // gonet does not wake a reader when an error comes
				conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
				_, err := conn.Read(make([]byte, 1))
				return err != nil && strings.Contains(err.Error(), wasRefused)
			}
			within(t, 10*time.Second, "refused", refused)
		}
	})
}

func TestDatagramsToTheUnreachableEndTheFlow(t *testing.T) {
	pods(t, func(t *testing.T, pod netip.Addr) {
		w := start(t, answering(wire.NetworkUnreachable))
		conn := w.dialUDP(netip.AddrPortFrom(pod, 9))
		conn.Write([]byte("x"))
		w.hasNoFlows()
	})
}

func (w *world) hasNoFlows() {
	w.t.Helper()
	within(w.t, 10*time.Second, "no flow, nothing waits", func() bool {
		w.near.flows.lock.Lock()
		defer w.near.flows.lock.Unlock()
		return len(w.near.flows.open) == 0 && w.near.flows.waiting == 0
	})
}

func TestHowLongAFlowMayBeSilent(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		port    uint16
		replies int
		want    time.Duration
	}{{domain, 5, afterQuestion}, {80, 0, afterFirst}, {80, 1, afterFirst}, {80, 2, afterMore}} {
		flow := &flow{last: time.Now()}
		flow.touch(test.replies)
		if left := flow.left(test.port); left > test.want || left < test.want-5*time.Second {
			t.Errorf("port %d, %d replies: %v, not %v", test.port, test.replies, left, test.want)
		}
	}
}

func TestTheFlowThatIsSilentForLongestMakesRoom(t *testing.T) {
	t.Parallel()
	const lowest = 1000
	ended := make(chan uint16, 2*maxFlows)
	var begun atomic.Int64
	w := start(t, played(func(stream *yamux.Stream, open wire.Open) {
		begun.Add(1)
		stream.Write([]byte{byte(wire.Connected)})
		io.Copy(io.Discard, stream)
		ended <- open.Address.Port()
	}))
	id := func(port int) flowID {
		to := full(netip.AddrPortFrom(pod4, uint16(port)))
		return flowID{wire.UDP, stack.TransportEndpointID{
			LocalAddress: to.Addr, LocalPort: to.Port,
			RemoteAddress: full(netip.AddrPortFrom(client4, 0)).Addr, RemotePort: 1,
		}}
	}
	for port := range maxFlows {
		w.near.send(id(lowest+port), []byte("x"))
	}
	within(t, 30*time.Second, "all have begun", func() bool { return begun.Load() == maxFlows })
	w.near.send(id(lowest), []byte("again")) // so it is not the oldest
	w.near.send(id(lowest+maxFlows), []byte("x"))
	select {
	case port := <-ended:
		if port != lowest+1 {
			t.Errorf("the flow to %d was ended", port)
		}
	case <-time.After(30 * time.Second):
		t.Error("none was ended")
	}
}

func TestWhatWaitsForTheLinkIsBounded(t *testing.T) {
	t.Parallel()
	near := &Near{flows: flows{open: map[flowID]*flow{}}}
	for port := range 1000 { // flows whose link is stuck
		id := flowID{wire.UDP, stack.TransportEndpointID{LocalPort: uint16(port)}}
		near.flows.open[id] = &flow{out: make(chan []byte, queued), cancel: func() {}}
		for range queued {
			near.send(id, make([]byte, 60000))
		}
	}
	if near.flows.waiting > maxWaiting {
		t.Errorf("%d bytes wait", near.flows.waiting)
	}
	for id, flow := range near.flows.open {
		near.forget(id, flow)
	}
	if near.flows.waiting != 0 {
		t.Errorf("%d bytes wait for nobody", near.flows.waiting)
	}
}

// ping sends an echo request of the program's, and returns the reply behind its header.
func (w *world) ping(pod netip.Addr, data []byte, patience time.Duration) ([]byte, error) {
	protocol, request := icmp.ProtocolNumber4, []byte{byte(header.ICMPv4Echo), 0, 0, 0, 0, 0, 0, 7}
	if pod.Is6() {
		protocol, request[0] = icmp.ProtocolNumber6, byte(header.ICMPv6EchoRequest)
	}
	var queue waiter.Queue
	entry, readable := waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventErr)
	queue.EventRegister(&entry)
	endpoint, err := w.program.NewEndpoint(protocol, protocolOf(pod), &queue)
	if err != nil {
		return nil, errors.New(err.String())
	}
	defer endpoint.Close()
	if err := endpoint.Connect(full(netip.AddrPortFrom(pod, 0))); err != nil {
		return nil, errors.New(err.String())
	}
	if _, err := endpoint.Write(bytes.NewReader(append(request, data...)), tcpip.WriteOptions{}); err != nil {
		return nil, errors.New(err.String())
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case <-readable:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var reply bytes.Buffer
	if _, err := endpoint.Read(&reply, tcpip.ReadOptions{}); err != nil {
		return nil, errors.New(err.String())
	}
	return reply.Bytes(), nil
}

func TestEchoRepliesAreFars(t *testing.T) {
	pods(t, func(t *testing.T, pod netip.Addr) {
		w := start(t, played(func(stream *yamux.Stream, open wire.Open) {
			if open.Network != wire.Echo {
				t.Errorf("%v", open)
			}
			stream.Write([]byte{byte(wire.Connected)})
			for {
				datagram, err := wire.ReadDatagram(stream)
				if err != nil {
					return
				}
				stream.Write(wire.AppendDatagram(nil, append(datagram, " of far"...)))
			}
		}))
		reply, err := w.ping(pod, []byte("data"), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if sequence := binary.BigEndian.Uint16(reply[6:]); sequence != 7 || string(reply[8:]) != "data of far" {
			t.Errorf("%d, %q", sequence, reply[8:])
		}
	})
}

func TestNobodyAnswersAnEchoInThePodsPlace(t *testing.T) {
	pods(t, func(t *testing.T, pod netip.Addr) {
		w := start(t, answering(wire.Prohibited))
		if reply, err := w.ping(pod, make([]byte, 65300), time.Second); err == nil { // in fragments
			t.Errorf("%d bytes answer", len(reply))
		}
	})
}

func synPacket() *stack.PacketBuffer {
	segment := header.TCP(make([]byte, header.TCPMinimumSize))
	segment.Encode(&header.TCPFields{Flags: header.TCPFlagSyn, DataOffset: header.TCPMinimumSize})
	packet := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(segment)})
	packet.TransportHeader().Consume(header.TCPMinimumSize)
	return packet
}

// FuzzEchoRequest: a program may send what it likes.
func FuzzEchoRequest(f *testing.F) {
	f.Add([]byte("\x45\x00\x00\x1c\x00\x00\x00\x00\x40\x01\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02\x08\x00\x00\x00\x00\x01\x00\x01"))
	f.Add(append([]byte("\x60\x00\x00\x00\xff\xff\x3a\x40"), make([]byte, 40)...)) // longer, it says, than it is
	f.Fuzz(func(t *testing.T, text []byte) {
		packet := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(text)})
		defer packet.DecRef()
		if !isICMP(packet) {
			return
		}
		if _, _, message, ok := echoRequest(text); ok && len(message) < 8 {
			t.Errorf("an echo of %d bytes", len(message))
		}
	})
}
