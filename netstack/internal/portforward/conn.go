package portforward

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"

	"github.com/moby/spdystream/spdy"
)

// The two streams of a forwarded connection: what the far side has to say of it, and its bytes.
const (
	errorStream spdy.StreamId = 1
	dataStream  spdy.StreamId = 3
)

// Conn is the connection: one SPDY data stream. Frames are read by whoever reads, without a goroutine between, which
// is why it is not spdystream's own Connection; that one also writes the parts of a frame one by one.
type Conn struct {
	net.Conn // the carrier: its addresses and deadlines are ours
	reader   *spdy.Framer
	rest     []byte // of the frame that was read last
	ended    bool   // nothing comes after it

	lock   sync.Mutex // over what is written
	held   []byte
	writer *spdy.Framer
	flush  func() error
}

// frameSize is how many bytes make a frame, if so many wait: each frame wakes four programs up between here and far.
const frameSize = 256 << 10

type flusher interface {
	io.Writer
	Flush() error
}

// open starts both streams on a carrier that speaks SPDY.
func open(carrier net.Conn, reader *bufio.Reader, writer flusher, port uint16) (*Conn, error) {
	// A framer has one buffer for headers in each direction: two are used from two goroutines.
	incoming, err := spdy.NewFramer(io.Discard, reader)
	if err != nil {
		return nil, err
	}
	outgoing, err := spdy.NewFramer(writer, nil)
	if err != nil {
		return nil, err
	}
	conn := &Conn{Conn: carrier, reader: incoming, writer: outgoing, flush: writer.Flush}
	for _, stream := range []struct {
		id    spdy.StreamId
		kind  string
		flags spdy.ControlFlags
	}{{errorStream, "error", spdy.ControlFlagFin}, {dataStream, "data", 0}} {
		header := http.Header{}
		header.Set("streamType", stream.kind)
		header.Set("port", strconv.Itoa(int(port)))
		header.Set("requestID", "0")
		frame := &spdy.SynStreamFrame{StreamId: stream.id, Headers: header}
		frame.CFHeader.Flags = stream.flags
		if err := outgoing.WriteFrame(frame); err != nil {
			return nil, err
		}
	}
	return conn, conn.Flush()
}

// Read gives the bytes of the data stream. The error stream's words are an error.
func (c *Conn) Read(buffer []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.ended {
			return 0, io.EOF
		}
		frame, err := c.reader.ReadFrame()
		if err != nil {
			return 0, err
		}
		if err := c.take(frame); err != nil {
			return 0, err
		}
	}
	count := copy(buffer, c.rest)
	c.rest = c.rest[count:]
	return count, nil
}

// take handles a frame; data is then in rest.
func (c *Conn) take(frame spdy.Frame) error {
	switch frame := frame.(type) {
	case *spdy.DataFrame:
		switch {
		case frame.StreamId == errorStream && len(frame.Data) > 0:
			return fmt.Errorf("port-forward: %s", frame.Data)
		case frame.StreamId == dataStream:
			c.rest = frame.Data
			c.ended = frame.Flags&spdy.DataFlagFin != 0
		}
	case *spdy.SynReplyFrame:
		c.ended = c.ended || frame.StreamId == dataStream && frame.CFHeader.Flags&spdy.ControlFlagFin != 0
	case *spdy.RstStreamFrame:
		return fmt.Errorf("port-forward: stream %d was reset (%d)", frame.StreamId, frame.Status)
	case *spdy.GoAwayFrame:
		return errors.New("port-forward: the other side goes away")
	case *spdy.PingFrame:
		go c.pong(frame) // whoever reads must not wait for whoever writes: the other side may do the same
	}
	return nil
}

// pong answers a ping that is the other side's: its numbers are even.
func (c *Conn) pong(ping *spdy.PingFrame) {
	if ping.Id%2 != 0 {
		return
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.writer.WriteFrame(ping) == nil { // an error is also that of the next write
		c.flush()
	}
}

// Write holds the bytes back until the next Flush, or until they fill a frame.
func (c *Conn) Write(data []byte) (int, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	for sent := 0; sent < len(data); {
		part := data[sent:min(len(data), sent+frameSize-len(c.held))]
		c.held = append(c.held, part...)
		sent += len(part)
		if len(c.held) == frameSize {
			if err := c.send(); err != nil {
				return sent, err
			}
		}
	}
	return len(data), nil
}

// Flush sends what was held back.
func (c *Conn) Flush() error {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.send()
}

// send makes a frame of what was held back. The lock is held.
func (c *Conn) send() error {
	if len(c.held) > 0 {
		if err := c.writer.WriteFrame(&spdy.DataFrame{StreamId: dataStream, Data: c.held}); err != nil {
			return err
		}
		c.held = c.held[:0]
	}
	return c.flush()
}
