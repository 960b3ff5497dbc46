package far

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"github.com/libp2p/go-yamux/v5"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"tpbox.dev/netstack/internal/wire"
)

// socket is a flow's socket. A flow lasts until near ends its stream: only near sees the program, and knows for how
// long a flow has been silent.
type socket interface {
	send(datagram []byte)
	// receive waits for a datagram, which may use the buffer's memory once it is there.
	receive() ([]byte, error)
	Close() error
}

func serveUDP(stream *yamux.Stream, address netip.AddrPort) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(address))
	if answered(stream, err) {
		exchange(stream, udp{conn})
	}
}

// serveEcho sends real echoes, which takes no privilege where net.ipv4.ping_group_range lets this group: icmp(7).
func serveEcho(stream *yamux.Stream, address netip.Addr) {
	network, listen := "udp4", "0.0.0.0"
	if address.Is6() {
		network, listen = "udp6", "::"
	}
	conn, err := icmp.ListenPacket(network, listen)
	if err != nil {
		fmt.Fprintf(os.Stderr, "far: echoes are not carried: %v\n", err)
	}
	if answered(stream, err) {
		exchange(stream, echo{conn, &net.UDPAddr{IP: address.AsSlice()}})
	}
}

// answered says how it went; the stream goes on when it is true.
func answered(stream *yamux.Stream, err error) bool {
	_, sent := stream.Write([]byte{byte(statusOf(err))})
	if err != nil || sent != nil {
		stream.Close()
		return false
	}
	return true
}

// exchange carries datagrams both ways until the stream ends.
func exchange(stream *yamux.Stream, socket socket) {
	var back sync.WaitGroup
	back.Add(1)
	go func() {
		defer back.Done()
		answers(stream, socket)
	}()
	for {
		datagram, err := wire.ReadDatagram(stream)
		if err != nil {
			break
		}
		socket.send(datagram)
	}
	socket.Close()
	back.Wait()
	stream.Close()
}

func answers(stream *yamux.Stream, socket socket) {
	for {
		datagram, err := socket.receive()
		var message []byte
		switch {
		case err == nil:
			message = wire.AppendDatagram(nil, datagram)
		case errors.Is(err, syscall.ECONNREFUSED):
			message = wire.AppendUnreachable(nil)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			continue // EHOSTUNREACH and the like, which come once for each packet that was lost by it
		}
		if _, err := stream.Write(message); err != nil {
			return
		}
	}
}

// received holds what is being received; there may be thousands of flows, and all but a few wait.
var received = sync.Pool{New: func() any { return new([wire.MaxDatagram]byte) }}

type udp struct{ *net.UDPConn }

// send loses a datagram that cannot be sent, as any may be lost. That nobody listens is what receive hears.
func (u udp) send(datagram []byte) { u.Write(datagram) }

// receive takes a buffer only when there is something to receive.
func (u udp) receive() (datagram []byte, err error) {
	raw, err := u.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Read(func(descriptor uintptr) bool {
		buffer := received.Get().(*[wire.MaxDatagram]byte)
		defer received.Put(buffer)
		var count int
		count, failed = syscall.Read(int(descriptor), buffer[:])
		if failed == nil {
			datagram = append([]byte{}, buffer[:count]...)
		}
		return !errors.Is(failed, syscall.EAGAIN)
	})
	if err == nil {
		err = failed
	}
	return datagram, err
}

// echo is an ICMP socket; the kernel sets its identifier, and gives it the replies to that alone.
type echo struct {
	*icmp.PacketConn
	address net.Addr
}

// send takes a sequence number and data, as the wire has them.
func (e echo) send(datagram []byte) {
	if len(datagram) < 2 {
		return
	}
	kind := icmp.Type(ipv4.ICMPTypeEcho)
	if e.IPv6PacketConn() != nil {
		kind = ipv6.ICMPTypeEchoRequest
	}
	body := icmp.Echo{Seq: int(binary.BigEndian.Uint16(datagram)), Data: datagram[2:]}
	if message, err := (&icmp.Message{Type: kind, Body: &body}).Marshal(nil); err == nil {
		e.WriteTo(message, e.address)
	}
}

func (e echo) receive() ([]byte, error) {
	packet := make([]byte, wire.MaxDatagram)
	count, _, err := e.ReadFrom(packet)
	if err != nil {
		return nil, err
	}
	protocol := ipv4.ICMPTypeEcho.Protocol()
	if e.IPv6PacketConn() != nil {
		protocol = ipv6.ICMPTypeEchoRequest.Protocol()
	}
	message, err := icmp.ParseMessage(protocol, packet[:count])
	if err != nil {
		return nil, err
	}
	reply, ok := message.Body.(*icmp.Echo)
	if !ok {
		return nil, errors.New("no echo")
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(reply.Seq)), reply.Data...), nil
}
