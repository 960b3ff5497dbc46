package far

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"tpbox.dev/netstack/internal/relay"
)

// tcp is a server's connection.
type tcp struct {
	*net.TCPConn
	sending sync.Mutex
	told    error // that there was a reset
}

// Read gives a reset also where a Send was told of it: the kernel tells once, and gives an end afterwards.
func (t *tcp) Read(buffer []byte) (int, error) {
	count, err := t.TCPConn.Read(buffer)
	if err == io.EOF && t.info().State == unix.BPF_TCP_CLOSE {
		t.sending.Lock() // whatever is under way has failed
		defer t.sending.Unlock()
		if t.told != nil {
			err = t.told
		}
	}
	return count, err
}

func (t *tcp) Send(buffer []byte) error {
	t.sending.Lock()
	defer t.sending.Unlock()
	_, err := t.Write(buffer[relay.Headroom:])
	if !errors.Is(err, syscall.EPIPE) { // that is for a reset which came behind an end
		t.told = err
	}
	return err
}

func (t *tcp) Abort() {
	relay.Settle(t.acknowledged)
	t.SetLinger(0) // close(2) then resets: tcp(7)
	t.Close()
}

// acknowledged says whether the server's kernel has all that was sent, or will never have it.
func (t *tcp) acknowledged() bool {
	info := t.info()
	return info.State == unix.BPF_TCP_CLOSE || info.Unacked == 0 && info.Notsent_bytes == 0
}

// info is tcp(7)'s TCP_INFO, all zero where there is none.
func (t *tcp) info() (info unix.TCPInfo) {
	if raw, err := t.SyscallConn(); err == nil {
		raw.Control(func(descriptor uintptr) {
			if found, err := unix.GetsockoptTCPInfo(int(descriptor), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
				info = *found
			}
		})
	}
	return info
}
