package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// up sends -streams streams, each of -bytes or for -seconds, and compares what the server says it has got.
func up(o options) (result, error) {
	return throughput(o, func(connection *net.TCPConn) (int64, error) {
		fmt.Fprintln(connection, "sink")
		stream := framed{connection}
		sent, err := send(stream, o.bytes, o.duration())
		if err != nil {
			return 0, err
		}
		if err := stream.end(); err != nil {
			return 0, err
		}
		var got sum
		if _, err := fmt.Fscan(connection, &got.count, &got.crc); err != nil {
			return 0, fmt.Errorf("no answer after %d bytes: %w", sent.count, err)
		}
		return got.count, compare(got, sent)
	})
}

// down receives as many.
func down(o options) (result, error) {
	return throughput(o, func(connection *net.TCPConn) (int64, error) {
		fmt.Fprintln(connection, "source", o.bytes, o.seconds)
		got := newSum()
		if _, err := io.CopyBuffer(struct{ io.Writer }{got}, struct{ io.Reader }{connection}, make([]byte, 256<<10)); err != nil {
			return 0, err
		}
		if o.bytes > 0 && got.count != o.bytes {
			return 0, fmt.Errorf("%d bytes of %d", got.count, o.bytes)
		}
		return got.count, compare(*got, expected(got.count))
	})
}

func compare(got, wanted sum) error {
	if got != wanted {
		return fmt.Errorf("got %d bytes with checksum %08x, not %d with %08x", got.count, got.crc, wanted.count, wanted.crc)
	}
	return nil
}

func throughput(o options, stream func(*net.TCPConn) (int64, error)) (result, error) {
	var all sync.WaitGroup
	counts, failures := make([]int64, o.streams), make([]error, o.streams)
	began := time.Now()
	for n := range o.streams {
		all.Add(1)
		go func() {
			defer all.Done()
			connection, err := dial(o.addr)
			if err != nil {
				failures[n] = err
				return
			}
			defer connection.Close()
			counts[n], failures[n] = stream(connection)
		}()
	}
	all.Wait()
	seconds := time.Since(began).Seconds()
	var total int64
	for _, count := range counts {
		total += count
	}
	return result{"bytes": total, "seconds": seconds, "MBps": float64(total) / 1e6 / seconds}, summary(failures)
}

// summary is the first failure and how many there are; nil when there is none.
func summary(failures []error) error {
	failed := slices.DeleteFunc(slices.Clone(failures), func(err error) bool { return err == nil })
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d failed, the first: %w", len(failed), len(failures), failed[0])
}

// stall sends -bytes to a reader that has stopped, for -seconds; "accepted" is what went out nevertheless. With
// direction down the server sends, and nothing is read here.
func stall(o options) (result, error) {
	connection, err := dial(o.addr)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	if o.direction == "down" {
		fmt.Fprintln(connection, "source", o.bytes, 0)
		time.Sleep(o.duration())
		return result{"seconds": o.seconds}, nil
	}
	fmt.Fprintln(connection, "hold")
	connection.SetWriteDeadline(time.Now().Add(o.duration()))
	sent, err := send(connection, o.bytes, 0)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, err
	}
	return result{"accepted": sent.count, "seconds": o.seconds}, nil
}

func dial(address string) (*net.TCPConn, error) {
	connection, err := net.DialTimeout("tcp", address, timeLimit)
	if err != nil {
		return nil, err
	}
	return connection.(*net.TCPConn), nil
}
