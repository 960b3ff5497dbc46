package near

import (
	"bytes"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"tpbox.dev/netstack/internal/wire"
)

// sent is what near sends to the program, as bytes.
func sent(t *testing.T, send func(*Near)) []byte {
	t.Helper()
	link := channel.New(16, MTU, "")
	near, err := New(link, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer near.stack.Close()
	link.Drain() // IPv6's own greetings
	send(near)
	packet := link.Read()
	if packet == nil {
		t.Fatal("nothing was sent")
	}
	defer packet.DecRef()
	return packet.ToView().AsSlice()
}

func flowTo(network wire.Network, pod netip.Addr) flowID {
	client := map[bool]netip.Addr{true: client4, false: client6}[pod.Is4()]
	to, from := full(netip.AddrPortFrom(pod, 53)), full(netip.AddrPortFrom(client, 4242))
	return flowID{network, stack.TransportEndpointID{
		LocalAddress: to.Addr, LocalPort: to.Port, RemoteAddress: from.Addr, RemotePort: from.Port,
	}}
}

func TestUnreachablePackets(t *testing.T) {
	for status, code := range unreachableCodes {
		for _, network := range []wire.Network{wire.UDP, wire.Echo} {
			about := flowTo(network, pod4).quoted()
			packet := header.IPv4(sent(t, func(n *Near) { n.sendUnreachable(about, code) }))
			message := header.ICMPv4(packet.Payload())
			if packet.SourceAddress().String() != pod4.String() || packet.DestinationAddress().String() != client4.String() ||
				message.Type() != header.ICMPv4DstUnreachable || message.Code() != code.v4 ||
				checksum.Checksum(message, 0) != 0xffff || !bytes.Equal(message.Payload(), about) {
				t.Errorf("IPv4, status %d, network %d: %x", status, network, []byte(packet))
			}
			about = flowTo(network, pod6).quoted()
			packet6 := header.IPv6(sent(t, func(n *Near) { n.sendUnreachable(about, code) }))
			message6 := header.ICMPv6(packet6.Payload())
			sum := header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, packet6.SourceAddress(),
				packet6.DestinationAddress(), uint16(len(message6)))
			if packet6.SourceAddress().String() != pod6.String() || packet6.DestinationAddress().String() != client6.String() ||
				message6.Type() != header.ICMPv6DstUnreachable || message6.Code() != code.v6 ||
				checksum.Checksum(message6, sum) != 0xffff || !bytes.Equal(message6.Payload(), about) {
				t.Errorf("IPv6, status %d, network %d: %x", status, network, []byte(packet6))
			}
		}
	}
}

// The numbers are those that Linux translates into what connect(2) gives in the pod: icmp(7), net/ipv6/icmp.c.
func TestUnreachableCodes(t *testing.T) {
	for status, want := range map[wire.Status][2]byte{
		wire.HostUnreachable:    {1, 3},
		wire.NetworkUnreachable: {0, 0},
		wire.Prohibited:         {13, 1},
		wire.Failed:             {1, 3},
	} {
		if code := unreachableCodes[status]; byte(code.v4) != want[0] || byte(code.v6) != want[1] {
			t.Errorf("status %d: %v", status, code)
		}
	}
	for _, status := range []wire.Status{wire.Connected, wire.Refused, wire.NoAnswer} {
		if _, ok := unreachableCodes[status]; ok {
			t.Errorf("status %d is no ICMP error", status)
		}
	}
}
