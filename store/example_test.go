package store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"netatmo-agent/store"
)

func Example() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	type counter struct {
		Starts int `json:"starts"`
	}
	path := filepath.Join(dir, "state", "counter.json")
	file := store.New[counter](path)
	if _, err := file.Probe(); err != nil { // fail now, not at the first Save
		panic(err)
	}

	lock, err := store.TryLock(filepath.Join(dir, "state", "counter.lock"))
	if err != nil {
		panic(err)
	}
	defer func() { _ = lock.Unlock() }()

	c, err := file.Load()
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Println("first start")
	}
	c.Starts++
	if err := file.Save(c); err != nil {
		panic(err)
	}
	content, _ := os.ReadFile(path)
	fmt.Print(string(content))

	_, err = store.TryLock(filepath.Join(dir, "state", "counter.lock"))
	_, held := errors.AsType[*store.HeldError](err)
	fmt.Println("held:", held)
	// Output:
	// first start
	// {
	//   "starts": 1
	// }
	// held: true
}
