package near

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"tpbox.dev/netstack/internal/wire"
)

const (
	ttl = 64
	// RFC 792: an ICMP error quotes the IP header and 64 bits behind it. They hold the ports, and TCP's sequence
	// number, without which Linux takes no notice.
	quotedTransport = 8
)

// code is that of an ICMP error in each version.
type code struct {
	v4 header.ICMPv4Code
	v6 header.ICMPv6Code
}

var portUnreachable = code{header.ICMPv4PortUnreachable, header.ICMPv6PortUnreachable}

// unreachableCodes are the ICMP errors by which a program's connect(2) gives what far's has given.
var unreachableCodes = map[wire.Status]code{
	wire.HostUnreachable:    {header.ICMPv4HostUnreachable, header.ICMPv6AddressUnreachable},
	wire.NetworkUnreachable: {header.ICMPv4NetUnreachable, header.ICMPv6NetworkUnreachable},
	wire.Prohibited:         {header.ICMPv4AdminProhibited, header.ICMPv6Prohibited},
	wire.Failed:             {header.ICMPv4HostUnreachable, header.ICMPv6AddressUnreachable},
}

// addrPort is a variable for the tests, whose far reaches nothing but the loopback.
var addrPort = func(address tcpip.Address, port uint16) netip.AddrPort {
	converted, _ := netip.AddrFromSlice(address.AsSlice())
	return netip.AddrPortFrom(converted, port)
}

// quoted is what an ICMP error about the packet quotes.
func quoted(packet *stack.PacketBuffer) []byte {
	found := append([]byte{}, packet.NetworkHeader().Slice()...)
	transport := packet.TransportHeader().Slice()
	return append(found, transport[:min(len(transport), quotedTransport)]...)
}

// quoted is the same of a flow's datagram: made up, since addresses and ports are what counts.
func (f flowID) quoted() []byte {
	source, destination := f.id.RemoteAddress, f.id.LocalAddress
	transport := make([]byte, quotedTransport)
	binary.BigEndian.PutUint16(transport, f.id.RemotePort)
	binary.BigEndian.PutUint16(transport[2:], f.id.LocalPort)
	binary.BigEndian.PutUint16(transport[4:], quotedTransport)
	protocols := map[wire.Network][2]uint8{
		wire.UDP:  {uint8(header.UDPProtocolNumber), uint8(header.UDPProtocolNumber)},
		wire.Echo: {uint8(header.ICMPv4ProtocolNumber), uint8(header.ICMPv6ProtocolNumber)},
	}[f.network]
	if destination.Len() == header.IPv4AddressSize {
		if f.network == wire.Echo {
			transport = echoHeader(uint8(header.ICMPv4Echo), f.id.RemotePort)
		}
		head := header.IPv4(make([]byte, header.IPv4MinimumSize))
		head.Encode(&header.IPv4Fields{
			TotalLength: uint16(len(head) + quotedTransport),
			TTL:         ttl,
			Protocol:    protocols[0],
			SrcAddr:     source,
			DstAddr:     destination,
		})
		return append(head, transport...)
	}
	if f.network == wire.Echo {
		transport = echoHeader(uint8(header.ICMPv6EchoRequest), f.id.RemotePort)
	}
	head := header.IPv6(make([]byte, header.IPv6MinimumSize))
	head.Encode(&header.IPv6Fields{
		PayloadLength:     quotedTransport,
		TransportProtocol: tcpip.TransportProtocolNumber(protocols[1]),
		HopLimit:          ttl,
		SrcAddr:           source,
		DstAddr:           destination,
	})
	return append(head, transport...)
}

func echoHeader(kind uint8, identifier uint16) []byte {
	made := make([]byte, quotedTransport)
	made[0] = kind
	binary.BigEndian.PutUint16(made[4:], identifier)
	return made
}

// sendUnreachable sends an ICMP error about a packet of the program's, in the name of whom it was for.
func (n *Near) sendUnreachable(about []byte, code code) {
	if header.IPVersion(about) == header.IPv4Version {
		head := header.IPv4(about)
		message := header.ICMPv4(make([]byte, header.ICMPv4MinimumSize, header.ICMPv4MinimumSize+len(about)))
		message.SetType(header.ICMPv4DstUnreachable)
		message.SetCode(code.v4)
		message = append(message, about...)
		message.SetChecksum(header.ICMPv4Checksum(message, 0))
		n.write(head.DestinationAddress(), head.SourceAddress(), header.ICMPv4ProtocolNumber, message)
		return
	}
	head := header.IPv6(about)
	source, destination := head.DestinationAddress(), head.SourceAddress()
	message := header.ICMPv6(make([]byte, header.ICMPv6MinimumSize, header.ICMPv6MinimumSize+len(about)))
	message.SetType(header.ICMPv6DstUnreachable)
	message.SetCode(code.v6)
	message = append(message, about...)
	message.SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{Header: message, Src: source, Dst: destination}))
	n.write(source, destination, header.ICMPv6ProtocolNumber, message)
}

// sendUDP sends a datagram to the program, in the name of whom the flow is to.
func (n *Near) sendUDP(id stack.TransportEndpointID, payload []byte) {
	message := header.UDP(make([]byte, header.UDPMinimumSize, header.UDPMinimumSize+len(payload)))
	length := header.UDPMinimumSize + len(payload)
	message.Encode(&header.UDPFields{SrcPort: id.LocalPort, DstPort: id.RemotePort, Length: uint16(length)})
	message = append(message, payload...)
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, id.LocalAddress, id.RemoteAddress, uint16(length))
	sum = ^checksum.Checksum(message, sum)
	if sum == 0 {
		sum = 0xffff // zero means that there is none: RFC 768
	}
	message.SetChecksum(sum)
	n.write(id.LocalAddress, id.RemoteAddress, header.UDPProtocolNumber, message)
}

// sendEchoReply sends a reply to the program: its identifier, and the sequence number and data as the wire has them.
func (n *Near) sendEchoReply(id stack.TransportEndpointID, datagram []byte) {
	if len(datagram) < 2 {
		return
	}
	message := make([]byte, 6, 6+len(datagram))
	binary.BigEndian.PutUint16(message[4:], id.RemotePort)
	message = append(message, datagram...)
	if id.LocalAddress.Len() == header.IPv4AddressSize {
		reply := header.ICMPv4(message)
		reply.SetType(header.ICMPv4EchoReply)
		reply.SetChecksum(header.ICMPv4Checksum(reply, 0))
		n.write(id.LocalAddress, id.RemoteAddress, header.ICMPv4ProtocolNumber, reply)
		return
	}
	reply := header.ICMPv6(message)
	reply.SetType(header.ICMPv6EchoReply)
	reply.SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{
		Header: reply, Src: id.LocalAddress, Dst: id.RemoteAddress,
	}))
	n.write(id.LocalAddress, id.RemoteAddress, header.ICMPv6ProtocolNumber, reply)
}

// write sends a packet to the program; the stack adds the IP header, and fragments what is longer than the link.
func (n *Near) write(source, destination tcpip.Address, protocol tcpip.TransportProtocolNumber, message []byte) {
	network := tcpip.NetworkProtocolNumber(ipv4.ProtocolNumber)
	if source.Len() == header.IPv6AddressSize {
		network = ipv6.ProtocolNumber
	}
	route, err := n.stack.FindRoute(nic, source, destination, network, false)
	if err != nil {
		return // the stack is being closed
	}
	defer route.Release()
	packet := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: int(route.MaxHeaderLength()),
		Payload:            buffer.MakeWithData(message),
	})
	defer packet.DecRef()
	packet.TransportProtocolNumber = protocol
	route.WritePacket(stack.NetworkHeaderParams{Protocol: protocol, TTL: ttl, TOS: stack.DefaultTOS}, packet)
}
