package transport

import (
	"crypto/ed25519"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
)

func TestASideOfAnotherVersionIsRefused(t *testing.T) {
	nearPublic, nearKey, _ := ed25519.GenerateKey(nil)
	farPublic, farKey, _ := ed25519.GenerateKey(nil)
	for _, spoken := range [][]string{nil, {"tpbox/1"}} {
		older, err := Identity{nearKey, farPublic}.config()
		if err != nil {
			t.Fatal(err)
		}
		older.NextProtos, older.VerifyConnection = spoken, nil
		current, err := Identity{farKey, nearPublic}.config()
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		go func() {
			tls.Client(near, older).Handshake()
			io.Copy(io.Discard, near) // a pipe keeps nothing: who writes waits for a reader
		}()
		refused := tls.Server(far, current).Handshake()
		if refused == nil || !strings.Contains(refused.Error(), "protocol") && !strings.Contains(refused.Error(), "version") {
			t.Errorf("a client that speaks %v: %v", spoken, refused)
		}
		near.Close()
		far.Close()
	}
}
