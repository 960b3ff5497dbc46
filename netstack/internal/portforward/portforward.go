// Package portforward opens one connection to a port of a Pod, through the API server.
//
//	conn, err := portforward.Dial(ctx, cluster, portforward.Port{Namespace: "shop", Pod: "tpbox-x", Number: 20023})
//
// It is what `kubectl port-forward` does for one connection, without a listener, a second process and a copy between.
// SPDY/3.1 as such comes first: the API server then passes the bytes on as they are. Where something on the way does
// not let that upgrade pass, the same frames go through a websocket, as kubectl does since 1.31
// (https://kep.k8s.io/4006).
package portforward

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	protocol       = "portforward.k8s.io"
	dialTimeout    = 10 * time.Second
	messageLimit   = 64 << 10 // bytes of a refusal that are read
	bufferSize     = 64 << 10
	websocketFrame = "SPDY/3.1+" + protocol
)

var errSilent = fmt.Errorf("the API server has not answered within %v", dialTimeout)

// Port is what to reach.
type Port struct {
	Namespace, Pod string
	Number         uint16
}

func (p Port) path() string {
	return fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/portforward", url.PathEscape(p.Namespace), url.PathEscape(p.Pod))
}

// refusal is an API server, or what is before it, that does not take the upgrade. status is 0 where it said nothing.
type refusal struct {
	status int
	words  string
}

func (r *refusal) Error() string { return r.words }

// final tells a refusal of this client from one of this kind of upgrade.
func (r *refusal) final() bool {
	return r.status == http.StatusUnauthorized || r.status == http.StatusNotFound
}

// Dial opens the connection. What it writes is held back until Flush.
func Dial(ctx context.Context, cluster Cluster, port Port) (*Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, dialTimeout, errSilent)
	defer cancel()
	conn, err := dialSpdy(ctx, cluster, port)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var refused *refusal
	if !errors.As(err, &refused) || refused.final() {
		return conn, err
	}
	conn, second := dialWebsocket(ctx, cluster, port)
	switch {
	case second == nil:
		return conn, nil
	case second.Error() == err.Error():
		return nil, err
	case ctx.Err() != nil:
		second = context.Cause(ctx)
	}
	return nil, fmt.Errorf("%w (and by a websocket: %w)", err, second)
}

func dialSpdy(ctx context.Context, cluster Cluster, port Port) (*Conn, error) {
	carrier, err := cluster.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer interruptible(ctx, carrier)()
	reader := bufio.NewReaderSize(carrier, bufferSize)
	if err := upgrade(carrier, reader, cluster, port); err != nil {
		carrier.Close()
		return nil, err
	}
	return open(carrier, reader, bufio.NewWriterSize(carrier, bufferSize), port.Number)
}

func upgrade(carrier *tls.Conn, reader *bufio.Reader, cluster Cluster, port Port) error {
	request, err := http.NewRequest(http.MethodPost, cluster.url(port), nil)
	if err != nil {
		return err
	}
	request.Header = cluster.header()
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "SPDY/3.1")
	request.Header.Set("X-Stream-Protocol-Version", protocol)
	if err := request.Write(carrier); err != nil {
		return err
	}
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return &refusal{words: fmt.Sprintf("the API server's answer: %v", err)}
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	defer response.Body.Close()
	return refused(response)
}

// refused is what the API server says, in its own words.
func refused(response *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(response.Body, messageLimit))
	var status struct{ Message string }
	words := strings.TrimSpace(string(body))
	if json.Unmarshal(body, &status) == nil && status.Message != "" {
		words = status.Message
	}
	return &refusal{response.StatusCode, strings.TrimSpace(fmt.Sprintf("the API server answered %s: %s", response.Status, words))}
}

// interruptible closes the carrier when the context ends, unless the end is called before.
func interruptible(ctx context.Context, carrier net.Conn) (end func() bool) {
	return context.AfterFunc(ctx, func() { carrier.Close() })
}

func (c Cluster) url(port Port) string { return strings.TrimRight(c.Server, "/") + port.path() }

// dial makes the TLS connection.
func (c Cluster) dial(ctx context.Context) (*tls.Conn, error) {
	server, err := url.Parse(c.Server)
	if err != nil {
		return nil, err
	}
	dialer := tls.Dialer{Config: c.tls.Clone()}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(server.Hostname(), portOf(server)))
	if err != nil {
		return nil, err
	}
	return conn.(*tls.Conn), nil
}

func portOf(server *url.URL) string {
	if port := server.Port(); port != "" {
		return port
	}
	return "443"
}
