// Package transport joins near and far: mutual TLS with the session's pinned keys, and streams multiplexed over it.
//
//	session, err := transport.Client(conn, identity)      // conn leads to far
//	stream, err := session.OpenStream(ctx)                // *yamux.Stream, with flow control of its own
//
// https://github.com/libp2p/go-yamux is HashiCorp's yamux with stream resets, windows that grow with the round trip,
// and a say in how much memory they may have.
package transport

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-yamux/v5"
)

const (
	handshakeTimeout = 10 * time.Second
	keepAlive        = 5 * time.Second
	// What all streams together may grow beyond their first 256 KiB: readers that have stopped keep what they got.
	growth = 48 << 20
)

// Client makes the multiplexer's side that opens streams. conn is closed with the session, and where this fails.
//
// A round trip ends it: in TLS 1.3 a client is ready before the server has looked at its key.
func Client(conn Flusher, identity Identity) (*yamux.Session, error) {
	secured, err := secure(conn, identity, tls.Client)
	if err != nil {
		return nil, err
	}
	session, err := yamux.Client(newBatched(secured, conn), settings(), newBudget())
	if err != nil {
		return nil, err
	}
	if _, err := session.Ping(); err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

// Server makes the multiplexer's side that accepts streams; else as Client.
func Server(conn Flusher, identity Identity) (*yamux.Session, error) {
	secured, err := secure(conn, identity, tls.Server)
	if err != nil {
		return nil, err
	}
	return yamux.Server(newBatched(secured, conn), settings(), newBudget())
}

func secure(conn Flusher, identity Identity, side func(net.Conn, *tls.Config) *tls.Conn) (*tls.Conn, error) {
	config, err := identity.config()
	if err != nil {
		return nil, err
	}
	below := &prompt{Flusher: conn, prompt: true}
	secured := side(below, config)
	err = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	if err == nil {
		err = secured.Handshake()
	}
	if err == nil {
		below.prompt = false
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}

// prompt holds nothing back while the handshake lasts, whose messages nobody flushes.
type prompt struct {
	Flusher
	prompt bool
}

func (p *prompt) Write(data []byte) (int, error) {
	count, err := p.Flusher.Write(data)
	if err == nil && p.prompt {
		err = p.Flush()
	}
	return count, err
}

func settings() *yamux.Config {
	config := yamux.DefaultConfig()
	config.AcceptBacklog = 16384 // connects that are being dialled at once
	config.MaxIncomingStreams = 65535
	config.KeepAliveInterval = keepAlive
	config.ConnectionWriteTimeout = writeTimeout // also how long a ping may take, behind all that waits before it
	config.ReadBufSize = 64 << 10
	config.MaxStreamWindowSize = 16 << 20
	config.LogOutput = os.Stderr
	return config
}

// budget bounds what the windows of a session's streams may grow to.
type budget struct{ left atomic.Int64 }

func newBudget() func() (yamux.MemoryManager, error) {
	shared := &budget{}
	shared.left.Store(growth)
	return func() (yamux.MemoryManager, error) { return &span{budget: shared}, nil }
}

// span is one stream's part of it.
type span struct {
	budget *budget
	lock   sync.Mutex
	taken  int64
	done   bool
}

// first is the priority with which a stream asks for its first window, which it always gets.
const first = 255

func (s *span) ReserveMemory(size int, priority uint8) error {
	if priority == first {
		return nil
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.done { // a stream that has ended still asks while its last bytes are read: nobody would give it back
		return io.ErrShortBuffer
	}
	if s.budget.left.Add(int64(-size)) < 0 {
		s.budget.left.Add(int64(size))
		return io.ErrShortBuffer
	}
	s.taken += int64(size)
	return nil
}

func (s *span) ReleaseMemory(size int) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.taken -= int64(size)
	s.budget.left.Add(int64(size))
}

func (s *span) Done() {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.budget.left.Add(s.taken)
	s.taken, s.done = 0, true
}
