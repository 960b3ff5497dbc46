package near

import (
	"context"
	"errors"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"tpbox.dev/netstack/internal/wire"
)

const (
	maxFlows = 4096
	// What may wait for the link, in datagrams of a flow and in bytes of all; more is lost, as in any network.
	queued     = 64
	maxWaiting = 16 << 20
	// How long a flow may be silent. A resolver asks once and is answered; what has gone to and fro may pause.
	afterQuestion = 10 * time.Second
	afterFirst    = 30 * time.Second // as Linux's nf_conntrack_udp_timeout
	afterMore     = 3 * time.Minute  // and above its nf_conntrack_udp_timeout_stream
	domain        = 53
)

// flowID is a flow: for echoes the remote port is their identifier.
type flowID struct {
	network wire.Network
	id      stack.TransportEndpointID
}

func (f flowID) open() wire.Open {
	return wire.Open{Network: f.network, Address: addrPort(f.id.LocalAddress, f.id.LocalPort)}
}

// flows are the conversations in datagrams, each on a stream of its own.
type flows struct {
	lock    sync.Mutex
	open    map[flowID]*flow
	waiting int // bytes in all queues
}

type flow struct {
	out    chan []byte
	cancel context.CancelFunc

	lock    sync.Mutex
	last    time.Time
	replies int
}

// takeUDP is the stack's handler: every datagram belongs to a flow, which may begin with it.
func (n *Near) takeUDP(id stack.TransportEndpointID, packet *stack.PacketBuffer) bool {
	n.send(flowID{wire.UDP, id}, packet.Data().AsRange().ToSlice())
	return true
}

func (n *Near) send(id flowID, datagram []byte) {
	n.flows.lock.Lock()
	defer n.flows.lock.Unlock()
	if len(datagram) > wire.MaxDatagram || n.flows.waiting+len(datagram) > maxWaiting {
		return
	}
	select {
	case n.flow(id).out <- datagram:
		n.flows.waiting += len(datagram)
	default:
	}
}

// flow returns the one that there is, or begins it. The lock is held.
func (n *Near) flow(id flowID) *flow {
	if known, ok := n.flows.open[id]; ok {
		known.touch(0)
		return known
	}
	if len(n.flows.open) >= maxFlows {
		n.flows.evict()
	}
	ctx, cancel := context.WithCancel(context.Background())
	begun := &flow{out: make(chan []byte, queued), cancel: cancel, last: time.Now()}
	n.flows.open[id] = begun
	go n.carry(ctx, id, begun)
	return begun
}

// taken says that a datagram has left its queue.
func (f *flows) taken(datagram []byte) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.waiting -= len(datagram)
}

// evict ends the flow that has been silent for the longest. The lock is held.
func (f *flows) evict() {
	var oldest flowID
	var since time.Time
	for id, flow := range f.open {
		if last := flow.lastTime(); since.IsZero() || last.Before(since) {
			oldest, since = id, last
		}
	}
	f.open[oldest].cancel()
	delete(f.open, oldest)
}

func (f *flow) touch(replies int) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.last = time.Now()
	f.replies += replies
}

func (f *flow) lastTime() time.Time {
	f.lock.Lock()
	defer f.lock.Unlock()
	return f.last
}

// left is how long the flow may still be silent.
func (f *flow) left(port uint16) time.Duration {
	f.lock.Lock()
	defer f.lock.Unlock()
	patience := afterFirst
	switch {
	case port == domain:
		patience = afterQuestion
	case f.replies > 1:
		patience = afterMore
	}
	return patience - time.Since(f.last)
}

// carry takes a flow from its first datagram until it is silent for too long, or the link is lost.
func (n *Near) carry(ctx context.Context, id flowID, flow *flow) {
	defer n.forget(id, flow)
	stream, err := n.open()
	if err != nil {
		return
	}
	defer stream.Reset() // also ends the goroutine below
	go n.answers(stream, id, flow)
	message := id.open().Append(nil) // together with the first datagram: nobody waits for the status
	silence := time.NewTimer(flow.left(id.id.LocalPort))
	defer silence.Stop()
	for {
		select {
		case datagram := <-flow.out:
			n.flows.taken(datagram)
			if _, err := stream.Write(wire.AppendDatagram(message, datagram)); err != nil {
				return
			}
			message = nil
		case <-silence.C:
			left := flow.left(id.id.LocalPort)
			if left <= 0 {
				return
			}
			silence.Reset(left)
		case <-ctx.Done():
			return
		}
	}
}

func (n *Near) forget(id flowID, ended *flow) {
	ended.cancel()
	n.flows.lock.Lock()
	defer n.flows.lock.Unlock()
	if n.flows.open[id] == ended { // not another that has begun since
		delete(n.flows.open, id)
	}
	for len(ended.out) > 0 { // nobody finds it any more, to put something in
		n.flows.waiting -= len(<-ended.out)
	}
}

// answers gives the program what comes back, and ends the flow when nothing can.
func (n *Near) answers(stream stream, id flowID, flow *flow) {
	defer flow.cancel()
	status, err := wire.ReadStatus(stream)
	if code, ok := unreachableCodes[status]; ok && err == nil {
		n.sendUnreachable(id.quoted(), code)
	}
	if err != nil || status != wire.Connected {
		return
	}
	for {
		datagram, err := wire.ReadDatagram(stream)
		switch {
		case errors.Is(err, wire.ErrUnreachable):
			n.sendUnreachable(id.quoted(), portUnreachable)
		case err != nil:
			return
		case id.network == wire.Echo:
			flow.touch(1)
			n.sendEchoReply(id.id, datagram)
		default:
			flow.touch(1)
			n.sendUDP(id.id, datagram)
		}
	}
}

type stream interface {
	Read([]byte) (int, error)
}
