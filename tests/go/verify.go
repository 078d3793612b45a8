// Checks what the ledger signed, proved and exported with the Go checksum database's own packages, which share no line
// with ours. usage: verify DIR, a folder that tests/tests/go_verifies.rs wrote. Prints what it checked, or exits 1.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	dir := os.Args[1]
	verifier, err := note.NewVerifier(strings.TrimSpace(read(dir, "key")))
	check(err, "the key")
	tree := open(verifier, read(dir, "tiles", "checkpoint"))
	leaves := entries(filepath.Join(dir, "tiles"), tree.N)
	hashes := stored(leaves)

	checkpoints := 0
	notes, err := filepath.Glob(filepath.Join(dir, "checkpoints", "*"))
	check(err, "checkpoints")
	for _, path := range notes {
		signed := open(verifier, read(path))
		if signed.Hash != root(hashes, signed.N) {
			fail("the checkpoint of %d has another root", signed.N)
		}
		checkpoints++
	}

	lines := proofs(hashes, leaves, strings.Split(strings.TrimSpace(read(dir, "proofs")), "\n"))
	receipt(verifier, read(dir, "receipt.tlog-proof"))

	// Every record again, from the exported tiles alone.
	reader := tlog.TileHashReader(tree, tiles(filepath.Join(dir, "tiles")))
	for n := range leaves {
		proof, err := tlog.ProveRecord(tree.N, int64(n), reader)
		check(err, "a proof from tiles")
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, int64(n), tlog.RecordHash(leaves[n])), "a record from tiles")
	}
	fmt.Printf("checkpoints=%d proofs=%d records=%d\n", checkpoints, lines, len(leaves))
}

// open checks the signature and reads the three lines.
func open(verifier note.Verifier, text string) tlog.Tree {
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	check(err, "a checkpoint's signature")
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		fail("a checkpoint is not three lines of %s: %q", verifier.Name(), opened.Text)
	}
	return tlog.Tree{N: number(lines[1]), Hash: hash(lines[2])}
}

// proofs checks one line each: "root SIZE HASH", "record POSITION SIZE HASH…" or "tree OLD NEW HASH…".
func proofs(hashes tlog.HashReader, leaves [][]byte, lines []string) int {
	for _, line := range lines {
		words := strings.Fields(line)
		first := number(words[1])
		if words[0] == "root" {
			if hash(words[2]) != root(hashes, first) {
				fail("another root: %s", line)
			}
			continue
		}
		second, path := number(words[2]), []tlog.Hash{}
		for _, word := range words[3:] {
			path = append(path, hash(word))
		}
		switch words[0] {
		case "record":
			leaf := tlog.RecordHash(leaves[first-1])
			check(tlog.CheckRecord(path, second, root(hashes, second), first-1, leaf), line)
		case "tree":
			check(tlog.CheckTree(path, second, root(hashes, second), first, root(hashes, first)), line)
		default:
			fail("not understood: %s", line)
		}
	}
	return len(lines)
}

// receipt checks a C2SP tlog-proof with the record in its extra line.
func receipt(verifier note.Verifier, text string) {
	head, signed, found := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || lines[0] != "c2sp.org/tlog-proof@v1" {
		fail("not a tlog-proof: %q", text)
	}
	leaf, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	check(err, "the extra line")
	path := []tlog.Hash{}
	for _, line := range lines[3:] {
		path = append(path, hash(line))
	}
	tree := open(verifier, signed)
	index := number(strings.TrimPrefix(lines[2], "index "))
	check(tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(leaf)), "the receipt")
}

// entries reads the records out of the entry bundles.
func entries(dir string, size int64) [][]byte {
	var leaves [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := size - n*256
		if width > 256 {
			width = 256
		}
		bundle := []byte(read(dir, tilePath("entries", n, int(width))))
		for len(bundle) > 0 {
			length := int(binary.BigEndian.Uint16(bundle))
			leaves = append(leaves, bundle[2:2+length])
			bundle = bundle[2+length:]
		}
	}
	if int64(len(leaves)) != size {
		fail("%d records exported, %d signed", len(leaves), size)
	}
	return leaves
}

// tiles reads the hash tiles of a folder.
type tiles string

func (dir tiles) Height() int { return 8 }

func (dir tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(wanted))
	for i, tile := range wanted {
		data[i] = []byte(read(string(dir), tilePath(strconv.Itoa(tile.L), tile.N, tile.W)))
	}
	return data, nil
}

func (dir tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func tilePath(level string, n int64, width int) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if width < 256 {
		path += fmt.Sprintf(".p/%d", width)
	}
	return filepath.Join("tile", level, path)
}

// stored keeps every hash that Go's own tree over the leaves has.
func stored(leaves [][]byte) tlog.HashReader {
	var all []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			found[i] = all[index]
		}
		return found, nil
	})
	for n, leaf := range leaves {
		hashes, err := tlog.StoredHashes(int64(n), leaf, reader)
		check(err, "hashing")
		all = append(all, hashes...)
	}
	return reader
}

func root(hashes tlog.HashReader, size int64) tlog.Hash {
	root, err := tlog.TreeHash(size, hashes)
	check(err, "a root")
	return root
}

func hash(text string) tlog.Hash {
	hash, err := tlog.ParseHash(text)
	check(err, "a hash")
	return hash
}

func number(text string) int64 {
	number, err := strconv.ParseInt(text, 10, 64)
	check(err, "a number")
	return number
}

func read(parts ...string) string {
	bytes, err := os.ReadFile(filepath.Join(parts...))
	check(err, "a file")
	return string(bytes)
}

func check(err error, what string) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

func fail(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}
