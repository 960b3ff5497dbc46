package near

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-yamux/v5"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"tpbox.dev/netstack/internal/relay"
	"tpbox.dev/netstack/internal/wire"
)

// connect asks far to dial, and lets the program's connect(2) end as far's did.
func (n *Near) connect(request *tcp.ForwarderRequest) {
	id := request.ID()
	waiting := n.syns.take(id)
	stream, status := n.dial(id, waiting)
	if status == wire.Connected {
		n.join(request, stream)
		return
	}
	request.Complete(status == wire.Refused)
	n.syns.forget(id)
	if code, ok := unreachableCodes[status]; ok && waiting != nil {
		n.sendUnreachable(waiting.packet, code)
	}
}

// dial returns how far's dial has ended, and the stream when it is Connected. It is NoAnswer also when the program has
// given up, and when the link is lost: then the kernel's next SYN is for the next link.
func (n *Near) dial(id stack.TransportEndpointID, waiting *syn) (*yamux.Stream, wire.Status) {
	stream, err := n.open()
	if err != nil {
		return nil, wire.NoAnswer
	}
	defer waiting.watch(stream)()
	open := wire.Open{Network: wire.TCP, Address: addrPort(id.LocalAddress, id.LocalPort)}
	status := wire.NoAnswer
	if _, err = stream.Write(open.Append(nil)); err == nil {
		status, err = wire.ReadStatus(stream)
	}
	switch {
	case err != nil:
		stream.Reset()
		return nil, wire.NoAnswer
	case status != wire.Connected:
		stream.Close()
		return nil, status
	}
	return stream, status
}

// join completes the handshake, and carries the connection until it has ended.
func (n *Near) join(request *tcp.ForwarderRequest, stream *yamux.Stream) {
	id := request.ID()
	var queue waiter.Queue
	endpoint, err := request.CreateEndpoint(&queue)
	request.Complete(false)
	n.syns.forget(id)
	if err != nil { // the program has given up meanwhile
		stream.Reset()
		return
	}
	endpoint.SocketOptions().SetDelayOption(false)
	relay.Join(connection{gonet.NewTCPConn(&queue, endpoint), endpoint}, relay.NewStream(stream))
}

// connection is a program's.
type connection struct {
	*gonet.TCPConn
	endpoint tcpip.Endpoint
}

// Read gives a reset also where a Send was told of it: gVisor tells once, as a kernel, and gives an end afterwards.
func (c connection) Read(buffer []byte) (int, error) {
	count, err := c.TCPConn.Read(buffer)
	if err == io.EOF && tcp.EndpointState(c.endpoint.State()) == tcp.StateError {
		err = wire.ErrReset
	}
	return count, err
}

func (c connection) Send(buffer []byte) error {
	_, err := c.Write(buffer[relay.Headroom:])
	return err
}

func (c connection) Abort() {
	c.shrink()
	relay.Settle(c.acknowledged)
	c.endpoint.Abort()
}

// shrink makes the send buffer one of a byte, which holds what is in it all the same. gVisor would tune it, with the
// endpoint locked, and may be about to.
func (c connection) shrink() {
	endpoint := c.endpoint.(*tcp.Endpoint)
	endpoint.OnSetSendBufferSize(1) // which ends the tuning, and does no more
	endpoint.LockUser()
	defer endpoint.UnlockUser()
	endpoint.SocketOptions().SetSendBufferSize(1, false)
}

// acknowledged says whether the program's kernel has all that was sent. gVisor does not tell how much it has not, but
// whether more may be sent: by a buffer of one byte when there is nothing in it, and always behind a half-close.
func (c connection) acknowledged() bool {
	switch tcp.EndpointState(c.endpoint.State()) {
	case tcp.StateFinWait1, tcp.StateClosing, tcp.StateLastAck: // the half-close is not acknowledged
		return false
	}
	return c.endpoint.Readiness(waiter.WritableEvents) != 0
}

// syns are the connection attempts that wait for far. gVisor does not tell of a SYN that comes again, which is how one
// knows that the program still waits, nor what an ICMP error has to quote.
type syns struct {
	lock    sync.Mutex
	pending map[stack.TransportEndpointID]*syn
}

type syn struct {
	packet      []byte // the IP header, and as much behind it as an ICMP error quotes
	lock        sync.Mutex
	first, last time.Time
}

// abandoned says whether the kernel would have sent the SYN again by now, if the program still waited: the pauses
// between them double, beginning with a second (tcp(7), tcp_syn_retries).
func (s *syn) abandoned(now time.Time) bool {
	if s == nil {
		return false
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	return now.Sub(s.last) > 2*(s.last.Sub(s.first)+time.Second)+time.Second
}

// watch resets the stream once the program has given up. The end must be called.
//
// A read deadline instead would outlive its use: a stream whose peer has half-closed takes no new one.
func (s *syn) watch(stream *yamux.Stream) (end func()) {
	ctx, end := context.WithCancel(context.Background())
	var look func()
	look = func() {
		switch {
		case ctx.Err() != nil:
		case s.abandoned(time.Now()):
			stream.Reset()
		default:
			time.AfterFunc(time.Second, look)
		}
	}
	time.AfterFunc(time.Second, look)
	return end
}

// noting keeps the table of SYNs, and then lets the forwarder have the packet.
func (n *Near) noting(handle func(stack.TransportEndpointID, *stack.PacketBuffer) bool) func(
	stack.TransportEndpointID, *stack.PacketBuffer) bool {
	return func(id stack.TransportEndpointID, packet *stack.PacketBuffer) bool {
		segment := header.TCP(packet.TransportHeader().Slice())
		if segment.Flags()&(header.TCPFlagSyn|header.TCPFlagAck) == header.TCPFlagSyn && !n.syns.note(id, packet) {
			return true // it is lost, and comes again
		}
		return handle(id, packet)
	}
}

// note says whether there is room for the SYN. What it has noted, connect forgets: after the forwarder has, which would
// else begin with a SYN that is not in the table.
func (s *syns) note(id stack.TransportEndpointID, packet *stack.PacketBuffer) bool {
	now := time.Now()
	s.lock.Lock()
	defer s.lock.Unlock()
	if known, ok := s.pending[id]; ok {
		known.lock.Lock()
		defer known.lock.Unlock()
		known.last = now
		return true
	}
	if len(s.pending) >= handshakes {
		return false
	}
	s.pending[id] = &syn{packet: quoted(packet), first: now, last: now}
	return true
}

func (s *syns) take(id stack.TransportEndpointID) *syn {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.pending[id]
}

func (s *syns) forget(id stack.TransportEndpointID) {
	s.lock.Lock()
	defer s.lock.Unlock()
	delete(s.pending, id)
}
