// imagetar writes a one-file container image as a docker-archive, which `ctr images import` reads,
// because a docker build has no docker to run `docker save` with:
//
//	imagetar localhost/pause:1 /out/pause > pause.tar
//
// The image holds the file at /NAME and runs it.
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"runtime"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: imagetar IMAGE FILE > ARCHIVE")
	}
	program, err := os.ReadFile(os.Args[2])
	check(err)
	name := filepath.Base(os.Args[2])
	layer := archive(file{name, 0o755, program})
	config := encode(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Entrypoint": []string{"/" + name}},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	manifest := encode([]any{map[string]any{
		"Config": "config.json", "RepoTags": []string{os.Args[1]}, "Layers": []string{"layer.tar"},
	}})
	_, err = io.Copy(os.Stdout, bytes.NewReader(archive(
		file{"config.json", 0o644, config}, file{"layer.tar", 0o644, layer}, file{"manifest.json", 0o644, manifest},
	)))
	check(err)
}

type file struct {
	name string
	mode int64
	data []byte
}

func archive(files ...file) []byte {
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	for _, f := range files {
		check(writer.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data))}))
		_, err := writer.Write(f.data)
		check(err)
	}
	check(writer.Close())
	return out.Bytes()
}

func encode(value any) []byte {
	data, err := json.Marshal(value)
	check(err)
	return data
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
