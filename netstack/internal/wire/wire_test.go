package wire

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"
	"testing/iotest"
)

func TestOpenRoundTrip(t *testing.T) {
	for _, address := range []string{"10.0.0.1:80", "255.255.255.255:65535", "[fd00::1]:53", "[::]:0"} {
		for network := TCP; network <= Echo; network++ {
			want := Open{network, netip.MustParseAddrPort(address)}
			reader := bytes.NewReader(append(want.Append(nil), "rest"...))
			got, err := ReadOpen(reader)
			if err != nil || got != want {
				t.Errorf("%v: %v, %v", want, got, err)
			}
			if reader.Len() != len("rest") {
				t.Errorf("%v: %d bytes are left", want, reader.Len())
			}
		}
	}
}

func TestOpenMalformed(t *testing.T) {
	for name, text := range map[string]string{
		"no network":       "\x00\x04\x01\x02\x03\x04\x00\x50",
		"unknown network":  "\x04\x04\x01\x02\x03\x04\x00\x50",
		"address too long": "\x01\xff\x01\x02\x03\x04\x00\x50",
		"no address":       "\x01\x00\x00\x50",
	} {
		if _, err := ReadOpen(bytes.NewReader([]byte(text))); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenCutOff(t *testing.T) {
	whole := Open{TCP, netip.MustParseAddrPort("10.0.0.1:80")}.Append(nil)
	if _, err := ReadOpen(bytes.NewReader(nil)); err != io.EOF {
		t.Errorf("nothing: %v", err)
	}
	for length := 1; length < len(whole); length++ {
		if _, err := ReadOpen(bytes.NewReader(whole[:length])); err != io.ErrUnexpectedEOF {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}

func TestStatus(t *testing.T) {
	for want := Connected; want <= Failed; want++ {
		if got, err := ReadStatus(bytes.NewReader([]byte{byte(want)})); err != nil || got != want {
			t.Errorf("%d: %d, %v", want, got, err)
		}
	}
	if _, err := ReadStatus(bytes.NewReader([]byte{byte(Failed) + 1})); !errors.Is(err, errMalformed) {
		t.Errorf("unknown: %v", err)
	}
	if _, err := ReadStatus(bytes.NewReader(nil)); err != io.EOF {
		t.Errorf("nothing: %v", err)
	}
}

func TestDatagramRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 1400, MaxDatagram} {
		want := bytes.Repeat([]byte{7}, size)
		reader := bytes.NewReader(append(AppendDatagram(nil, want), "rest"...))
		got, err := ReadDatagram(reader)
		if err != nil || !bytes.Equal(got, want) || reader.Len() != len("rest") {
			t.Errorf("%d bytes: %d bytes, %v, %d left", size, len(got), err, reader.Len())
		}
	}
}

func TestUnreachableStandsBetweenDatagrams(t *testing.T) {
	reader := bytes.NewReader(AppendDatagram(AppendUnreachable(nil), []byte("x")))
	if _, err := ReadDatagram(reader); !errors.Is(err, ErrUnreachable) {
		t.Error(err)
	}
	if got, err := ReadDatagram(reader); string(got) != "x" || err != nil {
		t.Error(got, err)
	}
	if _, err := ReadDatagram(reader); err != io.EOF {
		t.Error(err)
	}
}

func TestDatagramMalformed(t *testing.T) {
	if _, err := ReadDatagram(bytes.NewReader([]byte{0xff, 0xfe})); !errors.Is(err, errMalformed) {
		t.Errorf("too long: %v", err)
	}
	for _, text := range []string{"\x00", "\x00\x02", "\x00\x02x"} {
		if _, err := ReadDatagram(bytes.NewReader([]byte(text))); err != io.ErrUnexpectedEOF {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func chunk(text string) []byte {
	buffer := append(make([]byte, ChunkHead), text...)
	PutChunkHead(buffer)
	return buffer
}

func TestChunks(t *testing.T) {
	whole := append(chunk("ab"), chunk(string(make([]byte, MaxChunk)))...)
	for name, test := range map[string]struct {
		text []byte
		want int
		err  error
	}{
		"nothing":             {nil, 0, nil},
		"two":                 {whole, 2 + MaxChunk, nil},
		"a reset behind them": {append(AppendReset(bytes.Clone(whole)), "rest"...), 2 + MaxChunk, ErrReset},
		"a reset alone":       {AppendReset(nil), 0, ErrReset},
		"end in a length":     {[]byte{0}, 0, io.ErrUnexpectedEOF},
		"end behind a length": {[]byte{0, 1}, 0, io.ErrUnexpectedEOF},
		"end in a chunk":      {whole[:len(whole)-1], 1 + MaxChunk, io.ErrUnexpectedEOF},
	} {
		for _, reader := range []io.Reader{bytes.NewReader(test.text), iotest.OneByteReader(bytes.NewReader(test.text)),
			iotest.DataErrReader(bytes.NewReader(test.text))} {
			got, err := io.ReadAll(&Chunks{Reader: reader})
			if len(got) != test.want || err != test.err {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		}
	}
}

// FuzzChunks: what is read is what would be written, to the end, and not a byte more than that.
func FuzzChunks(f *testing.F) {
	f.Add(AppendReset(append(chunk("abc"), chunk("d")...)))
	f.Add(chunk("cut off")[:4])
	f.Fuzz(func(t *testing.T, text []byte) {
		reader := bytes.NewReader(text)
		chunks := &Chunks{Reader: reader}
		var written []byte
		for {
			buffer := make([]byte, ChunkHead+MaxChunk)
			count, err := chunks.Read(buffer[ChunkHead:])
			if count > 0 {
				PutChunkHead(buffer[:ChunkHead+count])
				written = append(written, buffer[:ChunkHead+count]...)
			}
			if err == ErrReset {
				written = AppendReset(written)
			}
			if err == io.ErrUnexpectedEOF {
				return
			}
			if err != nil {
				break
			}
		}
		if read := text[:len(text)-reader.Len()]; !bytes.Equal(written, read) {
			t.Errorf("%q was read from %q", written, read)
		}
	})
}

// FuzzReadOpen: what is read is what would be written, and not a byte more.
func FuzzReadOpen(f *testing.F) {
	f.Add([]byte("\x03\x10\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00rest"))
	f.Fuzz(func(t *testing.T, text []byte) {
		reader := bytes.NewReader(text)
		open, err := ReadOpen(reader)
		if err != nil {
			return
		}
		if read := text[:len(text)-reader.Len()]; !bytes.Equal(open.Append(nil), read) {
			t.Errorf("%v was read from %q", open, read)
		}
	})
}

// FuzzReadDatagram is the same for a stream of datagrams, to its end.
func FuzzReadDatagram(f *testing.F) {
	f.Add(AppendDatagram(AppendUnreachable(AppendDatagram(nil, []byte("abc"))), nil))
	f.Fuzz(func(t *testing.T, text []byte) {
		reader := bytes.NewReader(text)
		for {
			before := reader.Len()
			datagram, err := ReadDatagram(reader)
			written := AppendDatagram(nil, datagram)
			if errors.Is(err, ErrUnreachable) {
				written = AppendUnreachable(nil)
			} else if err != nil {
				return
			}
			if read := text[len(text)-before : len(text)-reader.Len()]; !bytes.Equal(written, read) {
				t.Errorf("%d bytes were read from %q", len(datagram), read)
			}
		}
	})
}
