package transport

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// batchSize is how many bytes may wait; whoever writes more waits too.
	batchSize = 256 << 10
	// writeTimeout is what a batch may take: on a slow line it does take seconds.
	writeTimeout = 30 * time.Second
)

// batched is a connection whose small writes leave together: while one write is under way, the next ones gather.
//
// The multiplexer writes each frame by itself, and each write below costs a TLS record, a frame of the port-forward,
// and a wake-up of every program between here and the pod. Nothing is ever held back for more to come.
type batched struct {
	net.Conn
	below Flusher // what Conn writes to

	lock    sync.Mutex
	changed sync.Cond
	waiting []byte
	spare   []byte
	err     error
}

func newBatched(conn net.Conn, below Flusher) *batched {
	b := &batched{Conn: conn, below: below}
	b.changed.L = &b.lock
	go b.send()
	return b
}

// Write returns when the bytes are taken; an error of the connection comes with a later call.
func (b *batched) Write(data []byte) (int, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	for len(b.waiting) >= batchSize && b.err == nil {
		b.changed.Wait()
	}
	if b.err != nil {
		return 0, b.err
	}
	b.waiting = append(b.waiting, data...)
	b.changed.Broadcast()
	return len(data), nil
}

// Read takes an end without TLS's goodbye for an end: the multiplexer knows which of its streams were complete.
func (b *batched) Read(buffer []byte) (int, error) {
	count, err := b.Conn.Read(buffer)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return count, err
}

// Close also ends whoever waits in Write. It closes what is below: TLS's goodbye would wait for a line that is stuck.
func (b *batched) Close() error {
	b.fail(net.ErrClosed)
	return b.below.Close()
}

func (b *batched) send() {
	for {
		batch, ok := b.take()
		if !ok {
			return
		}
		// The multiplexer's own deadline is that of the bytes that it has just written, and those leave later: with it
		// a slow line would be taken for a dead one.
		err := b.Conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err == nil {
			_, err = b.Conn.Write(batch)
		}
		if err == nil {
			err = b.below.Flush()
		}
		if err != nil {
			b.fail(err)
			return
		}
	}
}

// take waits for bytes. The two buffers change places: what is being sent is not written to.
func (b *batched) take() ([]byte, bool) {
	b.lock.Lock()
	defer b.lock.Unlock()
	for len(b.waiting) == 0 && b.err == nil {
		b.changed.Wait()
	}
	if b.err != nil {
		return nil, false
	}
	batch := b.waiting
	b.waiting, b.spare = b.spare[:0], batch
	b.changed.Broadcast()
	return batch, true
}

func (b *batched) fail(err error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.err == nil {
		b.err = err
	}
	b.changed.Broadcast()
}

// Flusher is a connection that may hold writes back until Flush.
type Flusher interface {
	net.Conn
	Flush() error
}

// buffered makes a Flusher of any connection. TLS writes its records one by one; together they are one system call.
type buffered struct {
	net.Conn
	writer *bufio.Writer
}

// Buffered returns conn with its writes held back until Flush, or until they are many.
func Buffered(conn net.Conn) Flusher {
	return &buffered{conn, bufio.NewWriterSize(conn, batchSize)}
}

func (b *buffered) Write(data []byte) (int, error) { return b.writer.Write(data) }
func (b *buffered) Flush() error                   { return b.writer.Flush() }
