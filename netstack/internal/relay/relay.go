// Package relay joins two connections: bytes, half-closes and resets of each become the other's.
package relay

import (
	"errors"
	"io"
	"sync"
)

// Conn is a connection of which each direction ends by itself.
type Conn interface {
	io.ReadWriter
	// CloseWrite says that nothing more comes from here.
	CloseWrite() error
	// Close frees what has ended both ways.
	Close() error
	// Abort resets the connection: the peer sees a reset, and not an end.
	Abort()
}

const (
	small = 8 << 10
	large = 64<<10 - 12 // what the multiplexer has room for in a frame; a byte more is a frame more
)

var larges = sync.Pool{New: func() any { return new([large]byte) }}

// Join carries both directions until both have ended. Where one breaks, both connections are reset.
func Join(a, b Conn) {
	done := make(chan error, 1)
	go func() { done <- direction(a, b) }()
	first := direction(b, a)
	if err := errors.Join(first, <-done); err != nil {
		return // they are reset already
	}
	a.Close()
	b.Close()
}

func direction(to, from Conn) error {
	err := carry(to, from)
	if err == nil {
		err = to.CloseWrite()
	}
	if err != nil {
		to.Abort()
		from.Abort()
	}
	return err
}

// carry copies until from ends. Its buffer is small while little is under way: most connections are idle most of
// the time, and there may be thousands.
func carry(to io.Writer, from io.Reader) error {
	idle := make([]byte, small)
	buffer := idle
	var busy *[large]byte
	defer func() {
		if busy != nil {
			larges.Put(busy)
		}
	}()
	for {
		count, err := from.Read(buffer)
		if count > 0 {
			if _, err := to.Write(buffer[:count]); err != nil {
				return err
			}
		}
		if err == io.EOF { // and not what wraps one: so does the reset of a stream whose link has ended
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case busy == nil && count == len(buffer):
			busy = larges.Get().(*[large]byte)
			buffer = busy[:]
		case busy != nil && count < small:
			larges.Put(busy)
			busy, buffer = nil, idle
		}
	}
}
