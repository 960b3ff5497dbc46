// Package near is the end in the helper: a user-mode TCP/IP stack that answers the namespace's packets, and asks far
// to dial what they are for.
//
//	tun, err := near.OpenTUN("tpbox0")
//	end, err := near.New(tun, session)      // from here on packets are answered
//
// A SYN is answered when far's dial has ended, and as it ended: by a handshake, a reset, an ICMP error, or not at all.
// So a connection to a closed port is refused as it is in the pod.
package near

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-yamux/v5"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

const (
	nic = 1
	// handshakes that may wait for far at once; what is above it is tried again by the kernel, a second later.
	handshakes = 16384
	unbounded  = 1 << 30 // the forwarder's own bound: ours comes first
	// Nothing is delayed on a TUN device. With gVisor's 60 s a port that the kernel uses again meets its last
	// connection, whose SYN is dropped: a busy client then stalls for seconds.
	timeWait = 5 * time.Millisecond
)

// Near is the stack with what it carries.
type Near struct {
	stack   *stack.Stack
	session *yamux.Session
	syns    syns
	flows   flows
}

// New answers what comes from the link.
func New(link stack.LinkEndpoint, session *yamux.Session) (*Near, error) {
	n := &Near{
		stack: stack.New(stack.Options{
			NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
			TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
		}),
		session: session,
		syns:    syns{pending: map[stack.TransportEndpointID]*syn{}},
		flows:   flows{open: map[flowID]*flow{}},
	}
	if err := n.configure(); err != nil {
		return nil, err
	}
	forwarder := tcp.NewForwarder(n.stack, 0, unbounded, n.connect)
	n.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, n.noting(forwarder.HandlePacket))
	n.stack.SetTransportProtocolHandler(udp.ProtocolNumber, n.takeUDP)
	if err := n.stack.CreateNIC(nic, intercepting(link, n.takeICMP)); err != nil {
		return nil, fmt.Errorf("the stack's interface: %s", err)
	}
	// Every address is ours to answer for, and to answer from.
	n.stack.SetPromiscuousMode(nic, true)
	n.stack.SetSpoofing(nic, true)
	n.stack.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nic},
		{Destination: header.IPv6EmptySubnet, NIC: nic},
	})
	return n, nil
}

func (n *Near) configure() error {
	var (
		// Small at first, and no more than a stopped reader may cost; far's window bounds what comes after.
		receive  = tcpip.TCPReceiveBufferSizeRangeOption{Min: 4 << 10, Default: 256 << 10, Max: 4 << 20}
		send     = tcpip.TCPSendBufferSizeRangeOption{Min: 4 << 10, Default: 128 << 10, Max: 1 << 20}
		moderate = tcpip.TCPModerateReceiveBufferOption(true)
		wait     = tcpip.TCPTimeWaitTimeoutOption(timeWait)
		sack     = tcpip.TCPSACKEnabled(true)
	)
	for _, option := range []tcpip.SettableTransportProtocolOption{&receive, &send, &moderate, &wait, &sack} {
		if err := n.stack.SetTransportProtocolOption(tcp.ProtocolNumber, option); err != nil {
			return fmt.Errorf("%T: %s", option, err)
		}
	}
	return nil
}

// open opens a stream. A link whose streams are used up ends: after two thousand million the next link is due.
func (n *Near) open() (*yamux.Stream, error) {
	stream, err := n.session.OpenStream(context.Background())
	if errors.Is(err, yamux.ErrStreamsExhausted) {
		n.session.Close()
	}
	return stream, err
}

// Close resets the connections that there are, and answers nothing any more.
func (n *Near) Close() {
	n.session.Close()
	n.stack.Close()
}
