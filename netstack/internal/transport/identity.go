package transport

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/ssh"
)

// protocol is what near and far speak above TLS (internal/wire); its number changes with that.
const protocol = "tpbox/2"

// Identity is our own key and the only peer's: the ones that ssh uses in the same session.
type Identity struct {
	own  ed25519.PrivateKey
	peer ed25519.PublicKey
}

// NewIdentity takes our private key as an OpenSSH file, and the peer's public one as `ssh-ed25519 BASE64 …`.
func NewIdentity(private, peer []byte) (Identity, error) {
	parsed, err := ssh.ParseRawPrivateKey(private)
	if err != nil {
		return Identity{}, fmt.Errorf("our key: %w", err)
	}
	own, ok := parsed.(*ed25519.PrivateKey)
	if !ok {
		return Identity{}, errors.New("our key: it is not ed25519")
	}
	pinned, _, _, _, err := ssh.ParseAuthorizedKey(peer)
	if err != nil {
		return Identity{}, fmt.Errorf("the peer's key: %w", err)
	}
	wrapped, ok := pinned.(ssh.CryptoPublicKey)
	if !ok {
		return Identity{}, errors.New("the peer's key: it cannot be used here")
	}
	public, ok := wrapped.CryptoPublicKey().(ed25519.PublicKey)
	if !ok {
		return Identity{}, errors.New("the peer's key: it is not ed25519")
	}
	return Identity{*own, public}, nil
}

// config is that of either side. Certificates are only what carries the keys: no name, no authority, no date counts.
func (i Identity) config() (*tls.Config, error) {
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, i.own.Public(), i.own)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: crypto.PrivateKey(i.own)}},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // in place of it: VerifyConnection, which is called always
		VerifyConnection:       i.verify,
		SessionTicketsDisabled: true,
		NextProtos:             []string{protocol},
		// Small records first would help a browser to begin early; here they are four frames more.
		DynamicRecordSizingDisabled: true,
	}, nil
}

func (i Identity) verify(state tls.ConnectionState) error {
	// A side that knows no protocol at all is not refused by TLS itself.
	if state.NegotiatedProtocol != protocol {
		return fmt.Errorf("the other side is of another version of tpbox: it speaks %q, and not %s", state.NegotiatedProtocol, protocol)
	}
	if len(state.PeerCertificates) > 0 && i.peer.Equal(state.PeerCertificates[0].PublicKey) {
		return nil
	}
	return errors.New("the peer's key is not the session's")
}
