package near

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/nested"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"tpbox.dev/netstack/internal/wire"
)

// interceptor takes ICMP before the stack sees it: that would answer every echo itself, whoever it was for.
type interceptor struct {
	nested.Endpoint
	take func(packet []byte)
}

func intercepting(link stack.LinkEndpoint, take func([]byte)) stack.LinkEndpoint {
	made := &interceptor{take: take}
	made.Init(link, made)
	return made
}

// DeliverNetworkPacket implements stack.NetworkDispatcher.
func (i *interceptor) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, packet *stack.PacketBuffer) {
	if isICMP(packet) {
		i.take(packet.ToView().AsSlice())
		return
	}
	i.Endpoint.DeliverNetworkPacket(protocol, packet)
}

func isICMP(packet *stack.PacketBuffer) bool {
	data := packet.Data()
	if head, ok := data.PullUp(header.IPv6MinimumSize); ok && header.IPVersion(head) == header.IPv6Version {
		next := header.IPv6(head).NextHeader()
		if next == uint8(header.IPv6FragmentHeader) { // whose first byte says what it is a fragment of
			if head, ok = data.PullUp(header.IPv6MinimumSize + 1); ok {
				next = head[header.IPv6MinimumSize]
			}
		}
		return next == uint8(header.ICMPv6ProtocolNumber)
	}
	head, ok := data.PullUp(header.IPv4MinimumSize)
	return ok && header.IPVersion(head) == header.IPv4Version &&
		header.IPv4(head).TransportProtocol() == header.ICMPv4ProtocolNumber
}

// takeICMP makes flows of echoes. All else is about packets that the program got from here, and changes nothing.
func (n *Near) takeICMP(packet []byte) {
	source, destination, message, ok := echoRequest(packet)
	if !ok {
		return
	}
	id := stack.TransportEndpointID{
		LocalAddress:  destination,
		RemoteAddress: source,
		RemotePort:    binary.BigEndian.Uint16(message[4:]),
	}
	n.send(flowID{wire.Echo, id}, append([]byte{}, message[6:]...))
}

// echoRequest finds one in an IP packet. A fragment is none: hardly anybody sends them, and half a probe is no probe.
func echoRequest(packet []byte) (source, destination tcpip.Address, message []byte, ok bool) {
	if header.IPVersion(packet) == header.IPv6Version {
		head := header.IPv6(packet)
		if !head.IsValid(len(packet)) || head.TransportProtocol() != header.ICMPv6ProtocolNumber {
			return source, destination, nil, false
		}
		message = head.Payload()
		ok = len(message) >= header.ICMPv6EchoMinimumSize && header.ICMPv6(message).Type() == header.ICMPv6EchoRequest
		return head.SourceAddress(), head.DestinationAddress(), message, ok
	}
	head := header.IPv4(packet)
	if !head.IsValid(len(packet)) || head.More() || head.FragmentOffset() != 0 {
		return source, destination, nil, false
	}
	message = head.Payload()
	ok = len(message) >= header.ICMPv4MinimumSize && header.ICMPv4(message).Type() == header.ICMPv4Echo
	return head.SourceAddress(), head.DestinationAddress(), message, ok
}
