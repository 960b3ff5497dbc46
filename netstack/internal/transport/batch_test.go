package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// piped is a batched connection, and the other end of what it writes to.
func piped(t *testing.T) (*batched, net.Conn) {
	t.Helper()
	here, there := net.Pipe()
	below := Buffered(here)
	made := newBatched(below, below)
	t.Cleanup(func() {
		made.Close()
		there.Close()
	})
	return made, there
}

func TestBatchesKeepTheOrder(t *testing.T) {
	batched, other := piped(t)
	var want bytes.Buffer
	go func() {
		for i := range 5000 {
			batched.Write(bytes.Repeat([]byte{byte(i)}, i%300))
		}
	}()
	for i := range 5000 {
		want.Write(bytes.Repeat([]byte{byte(i)}, i%300))
	}
	got := make([]byte, want.Len())
	if _, err := io.ReadFull(other, got); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("the order is lost (%v)", err)
	}
}

func TestWritersWaitWhenMuchWaits(t *testing.T) {
	batched, other := piped(t)
	taken := make(chan int, 100)
	go func() {
		for range 100 {
			count, err := batched.Write(make([]byte, 64<<10))
			if err != nil {
				break
			}
			taken <- count
		}
		close(taken)
	}()
	time.Sleep(100 * time.Millisecond)
	if waiting := len(taken) * 64 << 10; waiting > 3*batchSize {
		t.Errorf("%d bytes were taken and nobody reads", waiting)
	}
	other.Close()
	for range taken { // ends: the writer was woken with an error
	}
}

func TestErrorsEndABatchedConnection(t *testing.T) {
	batched, other := piped(t)
	other.Close()
	deadline := time.Now().Add(5 * time.Second)
	for {
		_, err := batched.Write([]byte("x"))
		if errors.Is(err, io.ErrClosedPipe) {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the error did not come, but %v", err)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestADeadlineOfBytesThatAreGoneDoesNotCutOffTheNext(t *testing.T) {
	batched, other := piped(t)
	batched.SetWriteDeadline(time.Now().Add(-time.Second))
	if _, err := batched.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	other.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadFull(other, got); err != nil {
		t.Error(err)
	}
}

func TestGrowthIsBoundedAndGivenBack(t *testing.T) {
	shared := &budget{}
	shared.left.Store(growth)
	one, two := &span{budget: shared}, &span{budget: shared}
	if err := one.ReserveMemory(growth, first); err != nil || shared.left.Load() != growth {
		t.Errorf("the first window counts: %v, %d left", err, shared.left.Load())
	}
	if err := one.ReserveMemory(growth, 128); err != nil {
		t.Error(err)
	}
	if err := two.ReserveMemory(1, 128); err == nil {
		t.Error("there is no bound")
	}
	one.ReleaseMemory(1)
	if err := two.ReserveMemory(1, 128); err != nil {
		t.Error(err)
	}
	one.Done()
	two.Done()
	one.Done() // as the session does when it ends
	if left := shared.left.Load(); left != growth {
		t.Errorf("%d of %d were given back", left, growth)
	}
}

func TestAStreamThatHasEndedTakesNothing(t *testing.T) {
	shared := &budget{}
	shared.left.Store(growth)
	ended := &span{budget: shared}
	ended.Done()
	if err := ended.ReserveMemory(1, 128); err == nil || shared.left.Load() != growth {
		t.Errorf("it took %d", growth-shared.left.Load())
	}
}
