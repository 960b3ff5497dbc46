package portforward

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/gorilla/websocket"
)

// dialWebsocket opens the connection with SPDY's frames in the binary messages of a websocket.
func dialWebsocket(ctx context.Context, cluster Cluster, port Port) (*Conn, error) {
	carrier, err := cluster.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer interruptible(ctx, carrier)()
	dialer := websocket.Dialer{
		NetDialTLSContext: func(context.Context, string, string) (net.Conn, error) { return carrier, nil },
		Subprotocols:      []string{websocketFrame},
		ReadBufferSize:    bufferSize,
		WriteBufferSize:   bufferSize,
	}
	target := "wss" + strings.TrimPrefix(cluster.url(port), "https")
	socket, response, err := dialer.DialContext(ctx, target, cluster.header())
	if err != nil {
		carrier.Close()
		if errors.Is(err, websocket.ErrBadHandshake) && response.StatusCode != http.StatusSwitchingProtocols {
			return nil, refused(response)
		}
		return nil, err
	}
	messages := &messages{socket: socket}
	return open(carrier, bufio.NewReaderSize(messages, bufferSize), messages, port.Number)
}

// messages makes a stream of bytes of a websocket. What is written between two calls of Flush is one message.
type messages struct {
	socket *websocket.Conn
	out    []byte
	in     io.Reader
}

func (m *messages) Read(buffer []byte) (int, error) {
	for {
		if m.in == nil {
			kind, reader, err := m.socket.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				continue
			}
			m.in = reader
		}
		count, err := m.in.Read(buffer)
		if errors.Is(err, io.EOF) {
			m.in, err = nil, nil
		}
		if count > 0 || err != nil {
			return count, err
		}
	}
}

func (m *messages) Write(data []byte) (int, error) {
	m.out = append(m.out, data...)
	if len(m.out) >= bufferSize {
		return len(data), m.Flush()
	}
	return len(data), nil
}

func (m *messages) Flush() error {
	if len(m.out) == 0 {
		return nil
	}
	err := m.socket.WriteMessage(websocket.BinaryMessage, m.out)
	m.out = m.out[:0]
	return err
}
