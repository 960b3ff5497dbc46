package relay

import (
	"sync"
	"time"

	"github.com/libp2p/go-yamux/v5"

	"tpbox.dev/netstack/internal/wire"
)

// patience is how long an Abort waits, more or less, for what comes before the reset.
const patience = time.Second

// Stream is a multiplexed stream as a Conn: bytes go in chunks, so that a reset can come behind them.
type Stream struct {
	stream *yamux.Stream
	chunks wire.Chunks

	// writing is held until a half-close too has left: a reset from elsewhere would overtake it, and what it is for.
	writing sync.Mutex
	failed  bool // maybe within a chunk
}

// NewStream is for a stream on which chunks come next.
func NewStream(stream *yamux.Stream) *Stream {
	return &Stream{stream: stream, chunks: wire.Chunks{Reader: stream}}
}

// Read gives an error where the connection was reset, behind the bytes that came before.
func (s *Stream) Read(buffer []byte) (int, error) { return s.chunks.Read(buffer) }

// Send writes a chunk.
func (s *Stream) Send(buffer []byte) error {
	wire.PutChunkHead(buffer)
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.write(buffer)
}

func (s *Stream) write(message []byte) error {
	if s.failed {
		return yamux.ErrStreamReset
	}
	_, err := s.stream.Write(message)
	s.failed = err != nil
	return err
}

// CloseWrite ends this direction between two chunks.
func (s *Stream) CloseWrite() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.stream.CloseWrite()
}

// Close frees the stream.
func (s *Stream) Close() error { return s.stream.Close() }

// Abort says that the connection was reset; the half-close lets the peer read what came before, and the stream's reset
// ends its writing.
//
// It does not wait for long for a peer that takes nothing, be it here or in a Send that is under way. A deadline would
// not do: a stream that the peer has half-closed takes none.
func (s *Stream) Abort() {
	defer time.AfterFunc(patience, s.reset).Stop()
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.write(wire.AppendReset(nil)) == nil {
		s.stream.CloseWrite()
	}
	s.reset()
}

func (s *Stream) reset() { s.stream.Reset() }
