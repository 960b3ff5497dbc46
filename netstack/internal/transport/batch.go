package transport

import (
	"bufio"
	"net"
	"sync"
)

// batchSize is how many bytes may wait; whoever writes more waits too.
const batchSize = 256 << 10

// batched is a connection whose small writes leave together: while one write is under way, the next ones gather.
//
// The multiplexer writes each frame by itself, and each write below costs a TLS record, a frame of the port-forward,
// and a wake-up of every program between here and the pod. Nothing is ever held back for more to come.
type batched struct {
	net.Conn
	flush func() error // of what Conn itself holds back

	lock    sync.Mutex
	changed sync.Cond
	waiting []byte
	spare   []byte
	err     error
}

func newBatched(conn net.Conn, flush func() error) *batched {
	b := &batched{Conn: conn, flush: flush}
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

// Close also ends whoever waits in Write.
func (b *batched) Close() error {
	b.fail(net.ErrClosed)
	return b.Conn.Close()
}

func (b *batched) send() {
	for {
		batch, ok := b.take()
		if !ok {
			return
		}
		_, err := b.Conn.Write(batch)
		if err == nil {
			err = b.flush()
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
