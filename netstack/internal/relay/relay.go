// Package relay joins two connections: bytes, half-closes and resets of each become the other's.
package relay

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"tpbox.dev/netstack/internal/wire"
)

// Conn is a connection of which each direction ends by itself.
type Conn interface {
	io.Reader
	// Send writes what is behind the first Headroom bytes, which are for its own use.
	Send(buffer []byte) error
	// CloseWrite says that nothing more comes from here.
	CloseWrite() error
	// Close frees what has ended both ways.
	Close() error
	// Abort resets the connection: the peer sees a reset, and not an end, behind what was sent before. It may come more
	// than once, and while others read and send, who then fail.
	Abort()
}

// Headroom lets what is read be sent with a head in front, and not be copied for that.
const Headroom = wire.ChunkHead

const (
	small = 8 << 10
	large = 64<<10 - 12 // what the multiplexer has room for in a frame; a byte more is a frame more
	// remainder is how long the other end has for what was received from a connection that takes nothing any more.
	remainder = 10 * time.Second
)

var larges = sync.Pool{New: func() any { return new([large]byte) }}

// errUndelivered is of the connection that is written to, and not of the one that is read.
var errUndelivered = errors.New("not delivered")

type joint struct {
	a, b   Conn
	broken atomic.Bool
}

// Join carries both directions until both have ended. Where one breaks, both connections are reset, and as a kernel
// does it: behind the bytes that were received before.
func Join(a, b Conn) {
	j := &joint{a: a, b: b}
	there, back := make(chan struct{}), make(chan struct{})
	go j.direction(a, b, there, back)
	j.direction(b, a, back, there)
	<-there
	if j.broken.Load() {
		j.abort()
		return
	}
	a.Close()
	b.Close()
}

// direction carries one direction, closes ended, and waits for the other one only where that must not last for ever.
func (j *joint) direction(to, from Conn, ended chan<- struct{}, other <-chan struct{}) {
	err := carry(to, from)
	if err == nil && to.CloseWrite() != nil {
		err = errUndelivered
	}
	switch {
	case errors.Is(err, errUndelivered):
		// It was reset. The other direction still carries what was received of it, and comes upon the reset then. But a
		// program that only writes would never learn of it: it waits for this direction, and the other one for it.
		j.broken.Store(true)
		close(ended)
		select {
		case <-other:
		case <-time.After(remainder):
			j.abort()
		}
	case err != nil:
		j.abort()
		close(ended)
	default:
		close(ended)
	}
}

func (j *joint) abort() {
	j.broken.Store(true)
	j.a.Abort()
	j.b.Abort()
}

// carry copies until from ends. Its buffer is small while little is under way: most connections are idle most of
// the time, and there may be thousands.
func carry(to, from Conn) error {
	idle := make([]byte, small)
	buffer := idle
	var busy *[large]byte
	defer func() {
		if busy != nil {
			larges.Put(busy)
		}
	}()
	for {
		count, err := from.Read(buffer[Headroom:])
		if count > 0 && to.Send(buffer[:Headroom+count]) != nil {
			return errUndelivered
		}
		if err == io.EOF { // and not what wraps one: so does the reset of a stream whose link has ended
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case busy == nil && Headroom+count == len(buffer):
			busy = larges.Get().(*[large]byte)
			buffer = busy[:]
		case busy != nil && count < small:
			larges.Put(busy)
			busy, buffer = nil, idle
		}
	}
}

// Settle waits until what was sent is acknowledged, but not for long: a stack that resets a connection discards what
// the peer has not taken yet.
func Settle(acknowledged func() bool) {
	for pause := time.Millisecond; pause < patience && !acknowledged(); pause *= 2 {
		time.Sleep(pause)
	}
}
