package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// files reads every file below -path once.
func files(o options) (result, error) {
	var total int64
	count, began := 0, time.Now()
	err := filepath.WalkDir(o.path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		count++
		read, err := readAll(path)
		total += read
		return err
	})
	if err == nil && count == 0 {
		err = errors.New("there is no file in " + o.path)
	}
	seconds := time.Since(began).Seconds()
	return result{"count": count, "bytes": total, "seconds": seconds, "MBps": float64(total) / 1e6 / seconds}, err
}

func readAll(path string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	read, buffer := int64(0), make([]byte, 1<<20)
	for {
		n, err := file.Read(buffer)
		read += int64(n)
		if n == 0 || err != nil {
			return read, atEnd(err)
		}
	}
}

func atEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
