// Package wire is what near and far say to each other on a stream of their own for each connection.
//
//	near: Open                              whom to dial
//	far:  Status                            one byte: how the dial ended; only after Connected does anything follow
//	both: chunks, each behind its length    TCP; one without bytes says that the connection was reset behind the others
//	      datagrams, each behind its length UDP and echo; far also says Unreachable
//
// A length is two bytes, big-endian. The end of a direction is the stream's own half-close, between two chunks. The
// stream's own reset would overtake the bytes before it: the peer's multiplexer drops what nobody has read. So a reset
// is said in line, and the stream's comes behind the half-close, where nothing is left to drop. One that comes alone, or
// an end within a chunk, is a reset too: of a link that was lost, or of a peer that did not take what there was.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// Network is what is dialled.
type Network byte

// The networks. Echo is ICMP's: a datagram is an echo's sequence number and data, the port is not used.
const (
	TCP Network = 1 + iota
	UDP
	Echo
)

// Status is how far's dial has ended.
type Status byte

// The outcomes. NoAnswer is what the kernel calls a timeout; Failed is far's own trouble (descriptors, ports).
const (
	Connected Status = iota
	Refused
	HostUnreachable
	NetworkUnreachable
	Prohibited
	NoAnswer
	Failed
)

// MaxDatagram is the longest payload, in bytes, that UDP over IPv4 or IPv6 has, and longer than any echo's.
const MaxDatagram = 65527

// unreachable stands in place of a length: nobody listens on the port that the last datagrams went to.
const unreachable = 0xffff

// ChunkHead is how many bytes a chunk's length takes, and MaxChunk how many it may have behind them.
const (
	ChunkHead = 2
	MaxChunk  = 65535
)

// ErrReset is what Chunks give when the other end has said so.
var ErrReset = errors.New("connection reset by peer")

// ErrUnreachable is what ReadDatagram gives when the other end has said so; the stream goes on.
var ErrUnreachable = errors.New("port unreachable")

// errMalformed is a peer that speaks something else.
var errMalformed = errors.New("malformed message")

// Open says whom far is to dial.
type Open struct {
	Network Network
	Address netip.AddrPort
}

// Append writes it as: network, length of the address, address, port (big-endian).
func (o Open) Append(buffer []byte) []byte {
	address := o.Address.Addr().AsSlice()
	buffer = append(buffer, byte(o.Network), byte(len(address)))
	buffer = append(buffer, address...)
	return binary.BigEndian.AppendUint16(buffer, o.Address.Port())
}

// ReadOpen reads what Append has written, and not a byte more.
func ReadOpen(reader io.Reader) (Open, error) {
	var head [2]byte
	if _, err := io.ReadFull(reader, head[:]); err != nil {
		return Open{}, err
	}
	network, length := Network(head[0]), int(head[1])
	if network < TCP || network > Echo || (length != 4 && length != 16) {
		return Open{}, fmt.Errorf("%w: network %d with an address of %d bytes", errMalformed, network, length)
	}
	var rest [18]byte
	if _, err := io.ReadFull(reader, rest[:length+2]); err != nil {
		return Open{}, unexpected(err)
	}
	address, _ := netip.AddrFromSlice(rest[:length])
	port := binary.BigEndian.Uint16(rest[length : length+2])
	return Open{network, netip.AddrPortFrom(address, port)}, nil
}

// ReadStatus reads how the dial has ended.
func ReadStatus(reader io.Reader) (Status, error) {
	var status [1]byte
	if _, err := io.ReadFull(reader, status[:]); err != nil {
		return Failed, err
	}
	if Status(status[0]) > Failed {
		return Failed, fmt.Errorf("%w: status %d", errMalformed, status[0])
	}
	return Status(status[0]), nil
}

// PutChunkHead makes a chunk of a buffer whose bytes, at least one and at most MaxChunk, begin behind ChunkHead.
func PutChunkHead(buffer []byte) {
	binary.BigEndian.PutUint16(buffer, uint16(len(buffer)-ChunkHead))
}

// AppendReset writes that the connection was reset.
func AppendReset(buffer []byte) []byte {
	return append(buffer, 0, 0)
}

// Chunks is what is in the chunks that come from Reader.
type Chunks struct {
	Reader io.Reader
	left   int // of the chunk that has begun
}

// Read gives io.EOF where Reader ends between two chunks, and ErrReset where the other end says so.
func (c *Chunks) Read(buffer []byte) (int, error) {
	if c.left == 0 {
		var head [ChunkHead]byte
		if _, err := io.ReadFull(c.Reader, head[:]); err != nil {
			return 0, err
		}
		if c.left = int(binary.BigEndian.Uint16(head[:])); c.left == 0 {
			return 0, ErrReset
		}
	}
	count, err := c.Reader.Read(buffer[:min(len(buffer), c.left)])
	if c.left -= count; c.left > 0 && err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return count, err
}

// AppendDatagram writes a datagram behind its length; what is longer than MaxDatagram cannot have been one.
func AppendDatagram(buffer, payload []byte) []byte {
	buffer = binary.BigEndian.AppendUint16(buffer, uint16(len(payload)))
	return append(buffer, payload...)
}

// AppendUnreachable writes that nobody listens there.
func AppendUnreachable(buffer []byte) []byte {
	return binary.BigEndian.AppendUint16(buffer, unreachable)
}

// ReadDatagram reads one.
//
// The error is io.EOF where the stream ends between two, and ErrUnreachable where the other end says so.
func ReadDatagram(reader io.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(reader, head[:]); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint16(head[:]))
	if length == unreachable {
		return nil, ErrUnreachable
	}
	if length > MaxDatagram {
		return nil, fmt.Errorf("%w: a datagram of %d bytes", errMalformed, length)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(reader, payload); err != nil {
		return nil, unexpected(err)
	}
	return payload, nil
}

// unexpected tells an end in the middle of a message from one between two.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
