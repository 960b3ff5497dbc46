package main

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/rand"
	"time"
)

// The content of every stream: this block again and again. Its length is prime, so that a lost, doubled or swapped
// frame of any usual size shows in the checksum.
var block = func() []byte {
	made := make([]byte, 262139)
	rand.New(rand.NewSource(1)).Read(made)
	return made
}()

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // the one that processors compute

// sum counts what is written to it, and sums it up.
type sum struct {
	count int64
	crc   uint32
}

func newSum() *sum { return &sum{} }

func (s *sum) Write(part []byte) (int, error) {
	s.count += int64(len(part))
	s.crc = crc32.Update(s.crc, castagnoli, part)
	return len(part), nil
}

// expected is the sum of the first `count` bytes of a stream.
func expected(count int64) sum {
	made := newSum()
	for made.count < count {
		made.Write(block[:min(int64(len(block)), count-made.count)])
	}
	return *made
}

// send writes a stream of `bytes` bytes, or when that is 0 of what goes out in `limit`. Returns what it wrote.
func send(to io.Writer, bytes int64, limit time.Duration) (sum, error) {
	sent, end := newSum(), time.Now().Add(limit)
	for {
		part := block
		if bytes > 0 {
			part = block[:min(int64(len(block)), bytes-sent.count)]
		}
		if len(part) == 0 || bytes == 0 && time.Now().After(end) {
			return *sent, nil
		}
		written, err := to.Write(part)
		sent.Write(part[:written])
		if err != nil {
			return *sent, err
		}
	}
}

// framed puts its length before each part. The end of a stream is a length of 0 and not the end of the connection's
// writing half: kubectl port-forward closes both halves at once.
type framed struct{ to io.Writer }

func (f framed) Write(part []byte) (int, error) {
	if err := binary.Write(f.to, binary.BigEndian, uint32(len(part))); err != nil {
		return 0, err
	}
	return f.to.Write(part)
}

func (f framed) end() error { return binary.Write(f.to, binary.BigEndian, uint32(0)) }

// receive reads what was written to a framed stream until its end.
func receive(from io.Reader, to io.Writer) error {
	for {
		var length uint32
		if err := binary.Read(from, binary.BigEndian, &length); err != nil || length == 0 {
			return err
		}
		if _, err := io.CopyN(to, from, int64(length)); err != nil {
			return err
		}
	}
}
