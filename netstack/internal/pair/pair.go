// Package pair makes what tests of several packages need: two ends that know each other.
package pair

import (
	"crypto/ed25519"
	"encoding/pem"
	"net"
	"testing"

	"golang.org/x/crypto/ssh"

	"tpbox.dev/netstack/internal/transport"
)

// Keys are a new pair as the programs get them: an OpenSSH file, and a line of authorized_keys.
func Keys(t testing.TB) (private, public []byte) {
	t.Helper()
	made, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := ssh.NewPublicKey(made)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), ssh.MarshalAuthorizedKey(wrapped)
}

// Identity joins our key to a peer's.
func Identity(t testing.TB, private, peer []byte) transport.Identity {
	t.Helper()
	made, err := transport.NewIdentity(private, peer)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// Identities are those of a near and its far.
func Identities(t testing.TB) (near, far transport.Identity) {
	t.Helper()
	nearPrivate, nearPublic := Keys(t)
	farPrivate, farPublic := Keys(t)
	return Identity(t, nearPrivate, farPublic), Identity(t, farPrivate, nearPublic)
}

// Listener is on the loopback, and closed with the test.
func Listener(t testing.TB) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// Dial returns a connection to the listener, closed with the test.
func Dial(t testing.TB, listener net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
