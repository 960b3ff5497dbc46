package relay

import "github.com/libp2p/go-yamux/v5"

// Stream is a multiplexed stream as a Conn.
type Stream struct{ *yamux.Stream }

// Abort resets the stream.
func (s Stream) Abort() { s.Reset() }
