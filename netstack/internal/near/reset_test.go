package near

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
)

const (
	repeated = 50
	burst    = 200 << 10
)

// repeatedly dials again and again, some at once: what is lost now and then is lost here.
func repeatedly(t *testing.T, w *world, to netip.AddrPort, act func(conn *gonet.TCPConn)) {
	t.Helper()
	var group sync.WaitGroup
	for range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range repeated / 4 {
				conn, err := w.dial(to)
				if err != nil {
					t.Error(err)
					return
				}
				act(conn)
				conn.Close()
			}
		}()
	}
	group.Wait()
}

// wantAllThenReset reads what comes before the reset.
func wantAllThenReset(t *testing.T, conn io.Reader, want int) {
	t.Helper()
	got, err := io.ReadAll(conn)
	if len(got) != want {
		t.Errorf("%d bytes, not %d", len(got), want)
	}
	wantError(t, err, wasReset)
}

func TestWhatAServerSendsBeforeItsResetArrives(t *testing.T) {
	for name, size := range map[string]int{"little": 5, "a burst": burst} {
		t.Run(name, func(t *testing.T) {
			pods(t, func(t *testing.T, pod netip.Addr) {
				w := start(t, real)
				to := serveTCP(t, pod, func(conn *net.TCPConn) {
					conn.Write(make([]byte, size))
					waitForUnread(conn) // close(2) is a reset then
					allSent(t, conn)    // and a kernel drops what it has not sent
				})
				repeatedly(t, w, to, func(conn *gonet.TCPConn) {
					conn.Write([]byte("xx"))
					wantAllThenReset(t, conn, size)
				})
				within(t, 5*time.Second, "the streams have ended", func() bool { return w.session.NumStreams() == 0 })
			})
		})
	}
}

// waitForUnread waits until there is something to read, and leaves it there.
func waitForUnread(conn *net.TCPConn) {
	raw, _ := conn.SyscallConn()
	raw.Read(func(descriptor uintptr) bool {
		_, _, err := syscall.Recvfrom(int(descriptor), make([]byte, 1), syscall.MSG_PEEK)
		return !errors.Is(err, syscall.EAGAIN)
	})
}

// allSent waits until the peer's kernel has everything.
func allSent(t *testing.T, conn *net.TCPConn) {
	raw, _ := conn.SyscallConn()
	within(t, 5*time.Second, "everything is acknowledged", func() (is bool) {
		raw.Control(func(descriptor uintptr) {
			left, err := unix.IoctlGetInt(int(descriptor), unix.SIOCOUTQ)
			is = left == 0 && err == nil
		})
		return is
	})
}

func TestWhatAProgramSendsBeforeItsResetArrives(t *testing.T) {
	t.Parallel()
	type end struct {
		count int
		err   error
	}
	ended := make(chan end, 1)
	to := serveTCP(t, pod4, func(conn *net.TCPConn) {
		conn.Write([]byte("x"))
		got, err := io.ReadAll(conn)
		ended <- end{len(got), err}
	})
	// The program's stack resets what is open when it is closed; it drops what it has not sent, as kernels do.
	for range repeated {
		w := start(t, real)
		conn := w.mustDial(to)
		io.ReadFull(conn, make([]byte, 1)) // near's handshake too is over then
		conn.Write([]byte("hello"))
		w.program.Close()
		w.program.Wait()
		if got := <-ended; got.count != 5 || !errors.Is(got.err, syscall.ECONNRESET) {
			t.Errorf("the server saw %d bytes, and %v", got.count, got.err)
		}
		w.near.Close()
	}
}

// A program that is sending learns of a reset as one that is reading, and not of an end.
func TestAResetInTheMiddleOfAnUploadIsAReset(t *testing.T) {
	t.Parallel()
	to := serveTCP(t, pod4, func(conn *net.TCPConn) {
		conn.Write(make([]byte, burst))
		io.CopyN(io.Discard, conn, 1<<20)
		waitForUnread(conn) // without, close(2) is an end
	})
	repeatedly(t, start(t, real), to, func(conn *gonet.TCPConn) {
		written := make(chan error, 1)
		go func() {
			for part := make([]byte, 64<<10); ; {
				if _, err := conn.Write(part); err != nil {
					written <- err
					return
				}
			}
		}()
		got, err := io.ReadAll(conn)
		if len(got) != burst {
			t.Errorf("%d bytes", len(got))
		}
		wantError(t, errors.Join(err, <-written), wasReset) // one of them is told
	})
}

// A server that has ended resets what comes later: a program in the pod reads the end all the same.
func TestAnEndBeforeAResetIsAnEnd(t *testing.T) {
	t.Parallel()
	to := serveTCP(t, pod4, func(conn *net.TCPConn) {
		conn.Write(make([]byte, burst))
		conn.CloseWrite()
		conn.Read(make([]byte, 1))
	})
	repeatedly(t, start(t, real), to, func(conn *gonet.TCPConn) {
		got := 0
		buffer := make([]byte, 64<<10)
		var err error
		for err == nil {
			var count int
			if count, err = conn.Read(buffer); got == 0 {
				conn.Write(make([]byte, 100))
			}
			got += count
		}
		if got != burst {
			t.Errorf("%d bytes, %v", got, err)
		}
	})
}
