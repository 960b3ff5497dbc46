package far

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"github.com/libp2p/go-yamux/v5"

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
	conn, err := dialEcho(address)
	if errors.Is(err, syscall.EACCES) {
		fmt.Fprintf(os.Stderr, "far: echoes are not carried: %v\n", err)
	}
	if answered(stream, err) {
		exchange(stream, echo{udp{conn}, address.Is6()})
	}
}

// dialEcho returns a connected ICMP socket, which package net takes for a UDP one: both are of datagrams.
func dialEcho(address netip.Addr) (*net.UDPConn, error) {
	family, protocol := syscall.AF_INET, syscall.IPPROTO_ICMP
	var peer syscall.Sockaddr
	if address.Is6() {
		family, protocol = syscall.AF_INET6, syscall.IPPROTO_ICMPV6
		peer = &syscall.SockaddrInet6{Addr: address.As16()}
	} else {
		peer = &syscall.SockaddrInet4{Addr: address.As4()}
	}
	descriptor, err := syscall.Socket(family, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(descriptor), "icmp")
	defer file.Close() // package net has its own
	if err := syscall.Connect(descriptor, peer); err != nil {
		return nil, os.NewSyscallError("connect", err)
	}
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
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
	stream.Reset() // whoever still writes to it ends too
	socket.Close()
	back.Wait()
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

// send loses a datagram that cannot be sent, as any may be lost. That nobody listens is what receive hears, or else the
// next send in its place, which then has sent nothing: it is done again, and answered again.
func (u udp) send(datagram []byte) {
	if _, err := u.Write(datagram); errors.Is(err, syscall.ECONNREFUSED) {
		u.Write(datagram)
	}
}

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

// echo is an ICMP socket. The kernel sets identifier and checksum, and gives it the replies to that identifier alone.
type echo struct {
	udp
	ipv6 bool
}

// The header of an echo: type, code, checksum, identifier; then come sequence number and data, as the wire has them.
const (
	echoHeader         = 6
	request4, request6 = 8, 128
	reply4, reply6     = 0, 129
)

func (e echo) send(datagram []byte) {
	kind := byte(request4)
	if e.ipv6 {
		kind = request6
	}
	e.udp.send(append([]byte{kind, echoHeader - 1: 0}, datagram...))
}

func (e echo) receive() ([]byte, error) {
	message, err := e.udp.receive()
	if err != nil {
		return nil, err
	}
	kind := byte(reply4)
	if e.ipv6 {
		kind = reply6
	}
	if len(message) < echoHeader || message[0] != kind {
		return nil, errors.New("no reply to an echo")
	}
	return message[echoHeader:], nil
}
