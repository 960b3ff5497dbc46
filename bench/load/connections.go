package main

import (
	"bufio"
	"fmt"
	"net"
	"sync"
	"time"
)

// echoed sends a line and waits for it to come back.
func echoed(connection net.Conn, reader *bufio.Reader, text string) error {
	connection.SetDeadline(time.Now().Add(timeLimit))
	if _, err := fmt.Fprintln(connection, text); err != nil {
		return err
	}
	line, err := reader.ReadString('\n')
	if err == nil && line != text+"\n" {
		err = fmt.Errorf("%q came back for %q", line, text)
	}
	return err
}

// open makes a connection and shows that both directions work.
func open(address string) (*net.TCPConn, *bufio.Reader, error) {
	connection, err := dial(address)
	if err != nil {
		return nil, nil, err
	}
	reader := bufio.NewReader(connection)
	fmt.Fprintln(connection, "echo")
	if err := echoed(connection, reader, "hello"); err != nil {
		connection.Close()
		return nil, nil, err
	}
	return connection, reader, nil
}

// series opens, uses and closes -count connections, one after another.
func series(o options) (result, error) {
	began, slowest := time.Now(), time.Duration(0)
	for n := range o.count {
		one := time.Now()
		connection, _, err := open(o.addr)
		if err != nil {
			return nil, fmt.Errorf("connection %d: %w", n+1, err)
		}
		connection.Close()
		slowest = max(slowest, time.Since(one))
	}
	seconds := time.Since(began).Seconds()
	return result{"count": o.count, "seconds": seconds, "slowestMs": milliseconds(slowest)}, nil
}

// parallel opens -count connections at once and uses each again when all are open.
func parallel(o options) (result, error) {
	var opened, done sync.WaitGroup
	failures := make([]error, o.count)
	opened.Add(o.count)
	began := time.Now()
	for n := range o.count {
		done.Add(1)
		go func() {
			defer done.Done()
			connection, reader, err := open(o.addr)
			opened.Done()
			if err != nil {
				failures[n] = err
				return
			}
			defer connection.Close()
			opened.Wait()
			failures[n] = echoed(connection, reader, fmt.Sprint("again ", n))
		}()
	}
	done.Wait()
	return result{"count": o.count, "seconds": time.Since(began).Seconds()}, summary(failures)
}

// idle says nothing over a connection for -seconds, then uses it.
func idle(o options) (result, error) {
	connection, reader, err := open(o.addr)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	time.Sleep(o.duration())
	return result{"seconds": o.seconds}, echoed(connection, reader, "still here")
}
